// `tab.js` against a scripted server: calls of the page's actions, their results, and tasks.
import assert from "node:assert/strict";
import { test } from "node:test";

import { clock, errors, invoke, mounted, query, result } from "./tab.setup.js";
import { settled } from "./still_clock.js";

test("what an action changed is sent before its result", async () => {
  const { tab, socket } = await mounted();
  const show = (path) => tab.set("route", { type: "status", props: { path }, actions: { navigate: {
    params: { to: "string" },
    handler: async ({ to }) => {
      await null;
      show(to);
      return { changed: true };
    },
  } } });
  show("/");
  await settled();
  socket.take();
  const [patch, result] = await invoke(socket, "/ui/route", "navigate", { to: "/x" });
  assert.deepEqual(patch.ops, [{ op: "replace", path: "/route/properties/path", value: "/x" }]);
  assert.deepEqual(result, { type: "result", id: "i", status: "ok", data: { changed: true } });
});

test("so is what changes just after the action has ended", async () => {
  const { tab, socket } = await mounted();
  let done;
  tab.set("x", { actions: { wait: () => new Promise((resolve) => { done = resolve; }) } });
  await settled();
  await invoke(socket, "/x", "wait");
  done();
  tab.set("y", {});
  await settled();
  assert.deepEqual(socket.take().map(({ type }) => type), ["patch", "result"]);
});

test("the return value of a handler is the data of the result", async () => {
  const { tab, socket } = await mounted();
  for (const [value, expected] of [
    [undefined, { status: "ok" }],
    [null, { status: "ok" }],
    [{}, { status: "ok" }],
    [[1], { status: "ok", data: [1] }],
    ["text", { status: "ok", data: "text" }],
    [0, { status: "ok", data: 0 }],
    [NaN, { status: "ok" }],
    [[Infinity, "\ud83d"], { status: "ok", data: [null, "\ufffd"] }],
    [{ __async: true, taskId: "t" }, { status: "accepted", data: { taskId: "t" } }],
  ]) {
    tab.set("x", { actions: { go: () => value } });
    assert.deepEqual((await invoke(socket, "/x", "go", null)).at(-1), { type: "result", id: "i", ...expected });
  }
});

test("an action of the root and one of a child with the id of the root are told apart", async () => {
  const { tab, socket } = await mounted();
  tab.set("/", { actions: { who: () => "root" } });
  tab.set("ui", { actions: { who: () => "child" } });
  assert.equal((await result(socket, "/", "who")).data, "root");
  assert.equal((await result(socket, "/ui/ui", "who")).data, "child");
});

test("a failed call says why", async () => {
  const { tab, socket } = await mounted();
  const conflict = Object.assign(new Error("somebody was faster"), { code: "conflict" });
  const cyclic = {};
  cyclic.self = cyclic;
  const params = { to: { type: "string", enum: ["/", "/x"] }, n: { type: "integer", optional: true } };
  const schema = { type: "object", properties: { tags: { type: "array", items: { type: "string" } } } };
  tab.set("x", { actions: {
    refuse: () => { throw conflict; },
    crash: () => Promise.reject(new Error("oops")),
    odd: () => { throw undefined; },
    cyclic: () => cyclic,
    pick: { params, handler: () => {} },
    tag: { params: schema, handler: () => {} },
  } });
  const fails = async (path, action, params) => {
    const { status, error } = await result(socket, path, action, params);
    return status === "ok" ? "ok" : `${error.code}: ${error.message}`;
  };
  assert.equal(await fails("/x", "refuse"), "conflict: somebody was faster");
  assert.equal(errors.length, 0, "an error with a code is meant for the caller");
  assert.equal(await fails("/x", "crash"), "internal: oops");
  assert.equal(errors.length, 1);
  assert.equal(await fails("/x", "odd"), "internal: undefined");
  assert.match(await fails("/x", "cyclic"), /^internal: /);
  assert.equal(await fails("/x", "toString"), "not_found: the node offers no such action");
  assert.equal(await fails("/nobody", "go"), "not_found: the node offers no such action");
  assert.equal(await fails("/x", "pick"), "invalid_params: params.to is required");
  assert.equal(await fails("/x", "pick", { to: 7 }), "invalid_params: params.to must be a string");
  assert.equal(await fails("/x", "pick", { to: "/y" }), 'invalid_params: params.to must be one of ["/","/x"]');
  assert.equal(await fails("/x", "pick", { to: "/", n: 1.5 }), "invalid_params: params.n must be an integer");
  assert.equal(await fails("/x", "pick", { to: "/", n: 2, more: 1 }), "ok");
  assert.equal(await fails("/x", "tag", { tags: ["a", 1] }), "invalid_params: params.tags[1] must be a string");
  assert.equal(await fails("/x", "pick", []), "invalid_params: params must be an object");
});

test("every call gets a result, whatever its handler returns or throws", async () => {
  const { tab, socket } = await mounted();
  const nested = (levels) => (levels === 0 ? 1 : [nested(levels - 1)]);
  const cases = {
    bigint: [() => 1n, "internal"],
    getter: [() => ({ get x() { throw new Error("no"); } }), "internal"],
    json: [() => ({ toJSON() { throw new Error("no"); } }), "internal"],
    nothing: [() => { throw Object.create(null); }, "internal"],
    symbol: [() => { throw Symbol("no"); }, "internal"],
    large: [() => "x".repeat(262_144), "too_large"],
    deep: [() => nested(130), "too_large"],
    wordy: [() => { throw new Error("x".repeat(262_144)); }, "too_large"],
    half: [() => { throw Object.assign(new Error("cut \ud83d"), { code: "\ud83d" }); }, "\ufffd"],
  };
  const actions = Object.entries(cases).map(([name, [handler]]) => [name, handler]);
  tab.set("x", { actions: Object.fromEntries(actions) });
  for (const [name, [, code]] of Object.entries(cases)) {
    const { status, error } = (await result(socket, "/x", name)) ?? assert.fail(`${name} got no result`);
    assert.deepEqual([status, error.code], ["error", code], name);
  }
  const { error } = await result(socket, "/x", "large");
  assert.match(error.message, /more than the 262144 of maxMessageBytes/);
});

test("a malformed schema does not cost the call", async () => {
  const { tab, socket } = await mounted();
  const properties = { where: { type: "object", required: true, properties: { x: 7 } }, list: { type: "array", items: 3 } };
  tab.set("x", { actions: { go: { params: { type: "object", properties, required: ["where"] }, handler: () => 1 } } });
  assert.deepEqual((await result(socket, "/x", "go", { where: { x: 1 }, list: [1] })).data, 1);
  assert.equal((await result(socket, "/x", "go", {})).error.code, "invalid_params");
});

// ------------------------------------------------------------------------------------------------ tasks

test("a generator is a task that can be watched and cancelled, and is removed after a while", async () => {
  const { tab, socket } = await mounted();
  let go;
  const gate = () => new Promise((resolve) => { go = resolve; });
  tab.set("x", { actions: {
    async *work() {
      yield "first";
      await gate();
      yield { progress: 0.5 };
    },
    async *fail() {
      throw new Error("no paper");
    },
  } });
  const [accepted, ...late] = (await invoke(socket, "/x", "work")).filter(({ type }) => type === "result");
  assert.deepEqual([accepted.status, late], ["accepted", []]);
  const path = `/tasks/${accepted.data.taskId}`;
  const task = () => query(socket, path).tree;
  assert.deepEqual(task().properties, { message: "first", status: "running" });
  assert.deepEqual(task().affordances, [{ action: "cancel" }]);
  await invoke(socket, path, "cancel");
  go();
  await settled();
  assert.deepEqual(task().properties, { message: "first", progress: 0.5, status: "cancelled" });
  clock.advance(60_000);
  assert.equal(query(socket, path).type, "error");

  const failed = await result(socket, "/x", "fail");
  const { properties } = query(socket, `/tasks/${failed.data.taskId}`).tree;
  assert.deepEqual(properties, { error: "no paper", status: "failed" });
});

test("a task whose step cannot be published fails, and does not stay in `running`", async () => {
  const { tab, socket } = await mounted();
  const steps = { bigint: { n: 1n }, lone: 1n, large: { text: "x".repeat(262_144) } };
  for (const [name, step] of Object.entries(steps)) {
    let closed = false;
    const work = async function* () {
      try {
        yield { progress: 0.5 };
        yield step;
      } finally {
        closed = true;
      }
    };
    tab.set("x", { actions: { work } });
    const { data } = await result(socket, "/x", "work");
    const { status, progress, error } = query(socket, `/tasks/${data.taskId}`).tree.properties;
    assert.deepEqual([status, progress, closed, error.length > 0], ["failed", 0.5, true, true], name);
  }
  tab.set("x", { actions: { async *work() { throw new Error("x".repeat(300_000)); } } });
  const { data } = await result(socket, "/x", "work");
  assert.equal(query(socket, `/tasks/${data.taskId}`).tree.properties.status, "failed");
  assert.deepEqual(errors, []);
});

test("the page is asked to fetch its data again", async () => {
  let calls = 0;
  const { socket, mirror } = await mounted({ onRefresh: async () => (calls += 1) });
  const [adapter] = mirror.tree.children;
  assert.deepEqual([adapter.id, adapter.type, adapter.affordances[0].action], ["__adapter", "context", "refresh"]);
  assert.deepEqual(await invoke(socket, "/ui/__adapter", "refresh", {}), [{ type: "result", id: "i", status: "ok" }]);
  assert.equal(calls, 1);
});
