// The module against a scripted server: `node --test`. A mirror of its own, written from the specification and not from
// the module, applies every patch and must equal what a query shows.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { ScriptedSocket } from "./scripted_socket.js";
import { publish } from "./tab.js";

// ------------------------------------------------------------------------------------------------ the other side

const real = { setTimeout, clearTimeout, console: console.error };
let sockets, timers, errors, page;

class FakeSocket extends ScriptedSocket {
  constructor(url) {
    super(url);
    sockets.push(this);
  }

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }
}

beforeEach(() => {
  [sockets, timers, errors, page] = [[], [], [], new EventTarget()];
  globalThis.setTimeout = (run, ms) => {
    timers.push({ run, ms });
    return timers.at(-1);
  };
  globalThis.clearTimeout = (timer) => { timers = timers.filter((one) => one !== timer); };
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
});

afterEach(() => {
  Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
  for (const name of ["addEventListener", "removeEventListener", "location", "document"]) delete globalThis[name];
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

function start(options = {}) {
  const url = "ws://app.example/slop";
  return publish({ url, WebSocket: FakeSocket, onError: (error) => errors.push(error), ...options });
}

// A tab whose server has subscribed to everything.
async function mounted(options) {
  const tab = start(options);
  const socket = sockets.at(-1);
  greet(socket);
  socket.say({ type: "subscribe", id: "ui-mount", path: "/", depth: -1 });
  return { tab, socket, mirror: new Mirror(socket.take().at(-1)) };
}

function greet(socket) {
  socket.open();
  socket.say({ type: "connect" });
}

function query(socket, path = "/", depth = -1) {
  socket.say({ type: "query", id: "q", path, depth });
  return socket.take().at(-1);
}

async function invoke(socket, path, action, params) {
  socket.say({ type: "invoke", id: "i", path, action, params });
  await turn();
  return socket.take();
}

const FIELDS = ["properties", "children", "affordances", "meta", "content_ref"];

class Mirror {
  constructor({ type, seq, version, tree }) {
    assert.deepEqual([type, seq], ["snapshot", 0]);
    Object.assign(this, { seq, version, tree });
  }

  take(messages) {
    for (const { type, seq, version, ops } of messages) {
      assert.equal(type, "patch");
      assert.equal(seq, this.seq + 1, "no gap");
      assert.ok(version >= this.version, "the version does not go back");
      assert.ok(ops.length > 0, "no empty patch");
      for (const op of ops) this.apply(op);
      Object.assign(this, { seq, version });
    }
  }

  apply({ op, path, value, index }) {
    const segments = path.split("/").slice(1);
    const at = segments.findIndex((segment) => FIELDS.includes(segment));
    if (at === -1) return this.applyChild(segments, op, value, index);
    const node = this.node(segments.slice(0, at));
    const [field, key] = segments.slice(at);
    const [owner, name] = key === undefined ? [node, field] : [node[field], key.replaceAll("~1", "/").replaceAll("~0", "~")];
    assert.ok(["add", "replace", "remove"].includes(op));
    if (op === "remove") {
      assert.ok(name in owner, path);
      delete owner[name];
    } else owner[name] = structuredClone(value);
  }

  applyChild(segments, op, value, index) {
    const id = segments.pop();
    const parent = this.node(segments);
    const list = (parent.children ??= []);
    const now = list.findIndex((child) => child.id === id);
    assert.equal(now === -1, op === "add", `${op} ${id}`);
    const [old] = now === -1 ? [] : list.splice(now, 1);
    assert.ok(index === undefined || index <= list.length);
    if (op === "add") list.splice(index ?? list.length, 0, structuredClone(value));
    if (op === "move") list.splice(index, 0, old);
    if (list.length === 0 && parent.type !== "root") delete parent.children;
  }

  node(ids) {
    return ids.reduce((node, id) => node.children.find((child) => child.id === id), this.tree);
  }
}

// ------------------------------------------------------------------------------------------------ greeting

test("it says nothing before `connect`, and hello to every one", async () => {
  const tab = start({ name: "Inbox" });
  const [socket] = sockets;
  socket.open();
  socket.say({ type: "subscribe", id: "early" });
  tab.set("route", { props: { path: "/" } });
  await turn();
  assert.deepEqual(socket.take(), []);
  for (let n = 0; n < 2; n += 1) {
    socket.say({ type: "connect" });
    const [hello, ...more] = socket.take();
    assert.deepEqual(more, []);
    assert.equal(hello.type, "hello");
    assert.deepEqual([hello.provider.id, hello.provider.name, hello.provider.slop_version], ["ui", "Inbox", "0.1"]);
  }
});

test("what is not for a tab is passed over", async () => {
  const { socket } = await mounted();
  for (const message of [{ type: "event", name: "x" }, { type: "snapshot" }, {}, [], 7, null]) socket.say(message);
  socket.onmessage({ data: "{" });
  assert.deepEqual(socket.take(), []);
  assert.equal(errors.length, 1);
});

test("a request without an id is refused", async () => {
  const { socket } = await mounted();
  socket.say({ type: "subscribe", path: "/" });
  assert.deepEqual(socket.take(), [{ type: "error", error: { code: "bad_request", message: "`id` is missing" } }]);
});

test("the URL is the page's own, as a WebSocket, with its query", () => {
  globalThis.location = new URL("https://app.example/mail?x=1#top");
  const url = (url) => {
    start({ url });
    return sockets.at(-1).url;
  };
  assert.equal(url(), "wss://app.example/slop?slop_role=provider&mount=ui");
  assert.equal(url("/api/agents?token=t"), "wss://app.example/api/agents?token=t&slop_role=provider&mount=ui");
  assert.equal(url("http://other.example/slop?slop_role=consumer#x"), "ws://other.example/slop?slop_role=provider&mount=ui");
  assert.equal(url("wss://other.example/slop?mount=ui/left"), "wss://other.example/slop?mount=ui%2Fleft&slop_role=provider");
});

// ------------------------------------------------------------------------------------------------ the tree

test("nodes stand in the order in which they were set, below groups that nobody set", async () => {
  const { tab, socket } = await mounted({ name: "Inbox" });
  tab.set("/compose/draft/", { type: "document", props: { text: "a" } });
  tab.set("route", { type: "status", props: { path: "/" }, summary: "Inbox", meta: { salience: 0.9 } });
  tab.set("", { type: "ignored", props: { theme: "dark" }, actions: { reload: () => {} } });
  assert.deepEqual(query(socket).tree, {
    id: "ui",
    type: "root",
    properties: { label: "Inbox", theme: "dark" },
    affordances: [{ action: "reload" }],
    children: [
      { id: "route", type: "status", properties: { path: "/" }, meta: { salience: 0.9, summary: "Inbox" } },
      { id: "compose", type: "group", properties: {}, children: [
        { id: "draft", type: "document", properties: { text: "a" } },
      ] },
    ],
  });
});

test("items and children are nodes, and a path replaces what its parent said of it", async () => {
  const { tab, socket } = await mounted();
  tab.set("list/b", { type: "view" });
  tab.set("list", { type: "collection", items: [{ id: "2" }, { id: "1", props: { n: 1 } }], children: { b: {}, c: {} } });
  const { children } = query(socket, "/list").tree;
  assert.deepEqual(children.map(({ id, type }) => [id, type]), [["2", "item"], ["1", "item"], ["b", "view"], ["c", "group"]]);
  tab.remove("list");
  assert.deepEqual(query(socket, "/list").tree.children.map(({ id }) => id), ["b"]);
});

test("parameters become a schema of the wire", async () => {
  const { tab, socket } = await mounted();
  const whole = { type: "object", properties: { to: { type: "string", minLength: 1 } }, required: ["to"] };
  const handler = () => {};
  tab.set("x", { actions: {
    short: { handler, params: { to: "string", at: { type: "number", description: "When", optional: true } } },
    whole: { handler, params: whole, label: "Whole", dangerous: true, idempotent: false, estimate: "fast" },
    named: { handler, params: { type: "string" } },
  } });
  assert.deepEqual(query(socket, "x").tree.affordances, [
    { action: "short", params: {
      type: "object", properties: { to: { type: "string" }, at: { type: "number", description: "When" } }, required: ["to"],
    } },
    { action: "whole", label: "Whole", params: whole, dangerous: true, estimate: "fast" },
    { action: "named", params: { type: "object", properties: { type: { type: "string" } }, required: ["type"] } },
  ]);
});

test("what JSON does not know is left out, and what was set is a copy", async () => {
  const { tab, socket } = await mounted();
  const list = [1];
  tab.set("x", { props: { list, at: new Date(0), nothing: undefined, call: () => {} } });
  list.push(2);
  assert.deepEqual(query(socket, "x").tree.properties, { list: [1], at: "1970-01-01T00:00:00.000Z" });
});

test("below the depth a node is a stub", async () => {
  const { tab, socket } = await mounted();
  tab.set("a/b", { props: { n: 1 }, meta: { salience: 1 } });
  assert.deepEqual(query(socket, "/a", 0).tree, { id: "a", type: "group", meta: { total_children: 1 } });
  const [leaf] = query(socket, "/a", 1).tree.children;
  assert.deepEqual(leaf, { id: "b", type: "group", properties: { n: 1 }, meta: { salience: 1 } });
  assert.equal("seq" in query(socket), false);
  assert.deepEqual(query(socket, "/nobody").error.code, "not_found");
  assert.equal(query(socket, "/ui/a").tree.id, "a");
});

// ------------------------------------------------------------------------------------------------ patches

test("what happens in one turn is one patch of what differs", async () => {
  const { tab, socket, mirror } = await mounted();
  tab.set("route", { props: { path: "/", "a/b~c": 1, gone: 1 } });
  await turn();
  mirror.take(socket.take());
  tab.set("route", { props: { path: "/x", "a/b~c": 1, gone: 1 } });
  tab.set("route", { props: { path: "/y", "a/b~c": 2, more: null } });
  await turn();
  const [patch, ...others] = socket.sent;
  assert.deepEqual(others, []);
  assert.deepEqual(patch.ops, [
    { op: "remove", path: "/route/properties/gone" },
    { op: "replace", path: "/route/properties/path", value: "/y" },
    { op: "replace", path: "/route/properties/a~1b~0c", value: 2 },
    { op: "add", path: "/route/properties/more", value: null },
  ]);
  mirror.take(socket.take());
  tab.set("route", { props: { path: "/y", "a/b~c": 2, more: null } });
  await turn();
  assert.deepEqual(socket.take(), []);
});

test("meta, affordances and content are replaced whole, and emptied before they go", async () => {
  const { tab, socket, mirror } = await mounted();
  const contentRef = { type: "text", mime: "text/plain", summary: "s", uri: "slop://content/x" };
  tab.set("x", {});
  await turn();
  mirror.take(socket.take());
  tab.set("x", { meta: { focus: true }, actions: { go: () => {} }, contentRef });
  await turn();
  assert.deepEqual(socket.sent[0].ops, [
    { op: "replace", path: "/x/meta", value: { focus: true } },
    { op: "replace", path: "/x/affordances", value: [{ action: "go" }] },
    { op: "replace", path: "/x/content_ref", value: contentRef },
  ]);
  mirror.take(socket.take());
  tab.set("x", {});
  await turn();
  assert.deepEqual(socket.sent[0].ops.slice(0, 2), [
    { op: "replace", path: "/x/meta", value: {} },
    { op: "remove", path: "/x/meta" },
  ]);
  mirror.take(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
});

test("children are added at their place, moved and removed; another type is another node", async () => {
  const { tab, socket, mirror } = await mounted();
  const list = async (...ids) => {
    tab.set("l", { type: "collection", items: ids.map((id) => ({ id })) });
    await turn();
    const ops = socket.sent.flatMap((patch) => patch.ops);
    mirror.take(socket.take());
    return ops.map(({ op, path, index }) => [op, path, index]);
  };
  await list("a", "c");
  assert.deepEqual(await list("a", "b", "c"), [["add", "/l/b", 1]]);
  assert.deepEqual(await list("c", "a", "b"), [["move", "/l/c", 0]]);
  assert.deepEqual(await list("c", "b"), [["remove", "/l/a", undefined]]);
  tab.set("l", { type: "view", items: [{ id: "b" }] });
  await turn();
  const ops = socket.sent[0].ops.map(({ op, path, index }) => [op, path, index]);
  assert.deepEqual(ops, [["remove", "/l", undefined], ["add", "/l", 0]]);
  mirror.take(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
});

test("after any changes every subscription's mirror equals a query", async () => {
  let seed = 1;
  const random = (below) => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  const maybe = (value) => (random(2) === 0 ? value : undefined);
  const ids = ["a", "b", "c", "2", "1"];
  const shuffled = () => ids.map((id) => [random(100), id]).sort().map(([, id]) => id).slice(0, random(6));
  const value = () => [random(3), null, { q: random(2) }][random(3)];
  const node = (deep) => ({
    type: ["view", "status"][random(4) === 0 ? 1 : 0],
    props: Object.fromEntries(["x", "y/z", "w~"].filter(() => random(2)).map((key) => [key, value()])),
    summary: maybe(`s${random(2)}`),
    actions: maybe({ go: { handler() {}, label: `l${random(2)}` } }),
    contentRef: maybe({ type: "text", mime: "text/plain", summary: "s", size: random(2) }),
    items: deep > 0 ? shuffled().map((id) => ({ id, ...node(deep - 1) })) : [],
  });
  const paths = ["a", "b", "a/b", "a/b/c", "z/y", "a/1", ""];
  const { tab, socket } = await mounted();
  const views = [["/", -1], ["/", 1], ["/", 2], ["/a", -1], ["/a", 0], ["/ui/b", 1]];
  tab.set("a", {});
  tab.set("b", {});
  const mirrors = views.map(([path, depth], n) => {
    socket.say({ type: "subscribe", id: `s${n}`, path, depth });
    return new Mirror(socket.take().at(-1));
  });
  for (let round = 0; round < 400; round += 1) {
    for (let n = random(3); n >= 0; n -= 1) {
      const path = paths[random(paths.length)];
      if (random(3) === 0 && path !== "a" && path !== "b") tab.remove(path);
      else tab.set(path, node(2));
    }
    await turn();
    for (const message of socket.take()) {
      const n = Number((message.subscription ?? message.id).slice(1));
      if (Number.isNaN(n)) continue;
      if (message.type === "snapshot") mirrors[n] = new Mirror(message);
      else mirrors[n].take([message]);
    }
    views.forEach(([path, depth], n) => {
      assert.deepEqual(mirrors[n].tree, query(socket, path, depth).tree, `round ${round}`);
    });
  }
  assert.deepEqual(errors, []);
});

test("subscribing again replaces, unsubscribing ends, a path that goes is told and comes back as a snapshot", async () => {
  const { tab, socket } = await mounted();
  socket.say({ type: "unsubscribe", id: "ui-mount" });
  tab.set("a", { props: { n: 1 } });
  await turn();
  assert.deepEqual(socket.take(), []);
  for (let n = 0; n < 2; n += 1) socket.say({ type: "subscribe", id: "s", path: "/a" });
  assert.deepEqual(socket.take().map(({ seq }) => seq), [0, 0]);
  tab.set("a", { props: { n: 2 } });
  await turn();
  assert.deepEqual(socket.take().map(({ type, seq, ops }) => [type, seq, ops[0].path]), [["patch", 1, "/properties/n"]]);
  tab.remove("a");
  await turn();
  assert.deepEqual(socket.take().map(({ type, id, error }) => [type, id, error.code]), [["error", "s", "not_found"]]);
  tab.set("a", {});
  await turn();
  assert.deepEqual(socket.take().map(({ type, id, seq }) => [type, id, seq]), [["snapshot", "s", 0]]);
});

// ------------------------------------------------------------------------------------------------ actions

test("what an action changed comes before its result", async () => {
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
  await turn();
  socket.take();
  const [patch, result] = await invoke(socket, "/ui/route", "navigate", { to: "/x" });
  assert.deepEqual(patch.ops, [{ op: "replace", path: "/route/properties/path", value: "/x" }]);
  assert.deepEqual(result, { type: "result", id: "i", status: "ok", data: { changed: true } });
});

test("that holds even for what changes just after the action is done", async () => {
  const { tab, socket } = await mounted();
  let done;
  tab.set("x", { actions: { wait: () => new Promise((resolve) => { done = resolve; }) } });
  await turn();
  await invoke(socket, "/x", "wait");
  done();
  tab.set("y", {});
  await turn();
  assert.deepEqual(socket.take().map(({ type }) => type), ["patch", "result"]);
});

test("what a handler returns is the data", async () => {
  const { tab, socket } = await mounted();
  for (const [value, wanted] of [
    [undefined, { status: "ok" }],
    [null, { status: "ok" }],
    [{}, { status: "ok" }],
    [[1], { status: "ok", data: [1] }],
    ["text", { status: "ok", data: "text" }],
    [0, { status: "ok", data: 0 }],
    [{ __async: true, taskId: "t" }, { status: "accepted", data: { taskId: "t" } }],
  ]) {
    tab.set("x", { actions: { go: () => value } });
    assert.deepEqual((await invoke(socket, "/x", "go", null)).at(-1), { type: "result", id: "i", ...wanted });
  }
});

test("an action of the root, and of a child that is named like the root", async () => {
  const { tab, socket } = await mounted();
  tab.set("/", { actions: { who: () => "root" } });
  tab.set("ui", { actions: { who: () => "child" } });
  assert.equal((await invoke(socket, "/", "who")).at(-1).data, "root");
  assert.equal((await invoke(socket, "/ui/ui", "who")).at(-1).data, "child");
});

test("what fails says how", async () => {
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
    const { status, error } = (await invoke(socket, path, action, params)).at(-1);
    return status === "ok" ? "ok" : `${error.code}: ${error.message}`;
  };
  assert.equal(await fails("/x", "refuse"), "conflict: somebody was faster");
  assert.equal(errors.length, 0, "what a handler means to say is no fault of the page");
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

test("a generator is a task that is followed, cancelled, and taken away after a while", async () => {
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
  await turn();
  assert.deepEqual(task().properties, { message: "first", progress: 0.5, status: "cancelled" });
  timers.at(-1).run();
  assert.equal(query(socket, path).type, "error");

  const failed = (await invoke(socket, "/x", "fail")).find(({ type }) => type === "result");
  assert.deepEqual(query(socket, `/tasks/${failed.data.taskId}`).tree.properties, { error: "no paper", status: "failed" });
});

test("the page is told to fetch again", async () => {
  let told = 0;
  const { socket, mirror } = await mounted({ onRefresh: async () => (told += 1) });
  const [adapter] = mirror.tree.children;
  assert.deepEqual([adapter.id, adapter.type, adapter.affordances[0].action], ["__adapter", "context", "refresh"]);
  assert.deepEqual(await invoke(socket, "/ui/__adapter", "refresh", {}), [{ type: "result", id: "i", status: "ok" }]);
  assert.equal(told, 1);
});

// ------------------------------------------------------------------------------------------------ the socket's life

test("after a loss it starts anew, and nothing of the old socket is said on the new one", async () => {
  const { tab, socket } = await mounted();
  let answer;
  tab.set("x", { actions: { wait: () => new Promise((resolve) => { answer = resolve; }) } });
  await turn();
  assert.deepEqual((await invoke(socket, "/x", "wait")).map(({ type }) => type), ["patch"]);
  socket.end();
  timers.pop().run();
  const next = sockets.at(-1);
  next.open();
  tab.set("y", {});
  answer();
  await turn();
  assert.deepEqual(next.take(), []);
  next.say({ type: "connect" });
  next.say({ type: "subscribe", id: "ui-mount", path: "/", depth: -1 });
  const [hello, snapshot] = next.take();
  assert.deepEqual([hello.type, snapshot.seq, snapshot.tree.children.length], ["hello", 0, 2]);
});

test("it waits from one second to thirty, with jitter, and from one again after it was open", () => {
  start();
  const waits = [];
  const lose = () => {
    sockets.at(-1).end();
    assert.equal(timers.length, 1);
    const { run, ms } = timers.pop();
    run();
    return ms;
  };
  for (let n = 0; n < 8; n += 1) waits.push(lose());
  [1, 2, 4, 8, 16, 30, 30, 30].forEach((seconds, n) => {
    assert.ok(waits[n] >= seconds * 500 && waits[n] <= seconds * 1000, `${waits[n]} ms at ${n}`);
  });
  sockets.at(-1).open();
  assert.ok(lose() <= 1000);
});

test("a server that blames what it was sent is not asked at once again and again", () => {
  start();
  let wait;
  for (let n = 0; n < 3; n += 1) {
    sockets.at(-1).open();
    sockets.at(-1).end(1008, "the tab's tree is too large");
    wait = timers.at(-1).ms;
    timers.pop().run();
  }
  assert.ok(wait >= 2000, `${wait} ms`);
  assert.match(errors[0].message, /too large/);
});

test("the network and the eye of the person make it hurry", () => {
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  start();
  page.dispatchEvent(new Event("online"));
  assert.equal(sockets.length, 1, "it is on its way already");
  sockets[0].end();
  globalThis.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(sockets.length, 1, "nobody looks");
  globalThis.document.visibilityState = "visible";
  globalThis.document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual([sockets.length, timers.length], [2, 0]);
  sockets[1].end();
  page.dispatchEvent(new Event("online"));
  assert.deepEqual([sockets.length, timers.length], [3, 0]);
});

test("a page that is left lets go, and one that comes back resumes", async () => {
  const { tab, socket } = await mounted();
  page.dispatchEvent(new Event("pagehide"));
  assert.equal(socket.closedWith, 1000);
  page.dispatchEvent(new Event("online"));
  tab.set("x", {});
  await turn();
  assert.deepEqual([sockets.length, timers.length], [1, 0]);
  page.dispatchEvent(new Event("pageshow"));
  page.dispatchEvent(new Event("pageshow"));
  assert.equal(sockets.length, 2);
  greet(sockets[1]);
  assert.equal(query(sockets[1]).tree.children[0].id, "x");
});

test("a tab that was closed stays closed", async () => {
  const { tab, socket } = await mounted();
  tab.close();
  assert.equal(socket.closedWith, 1000);
  for (const event of ["online", "pagehide", "pageshow"]) page.dispatchEvent(new Event(event));
  tab.set("x", {});
  tab.close();
  await turn();
  assert.deepEqual([sockets.length, timers.length, socket.take(), errors], [1, 0, [], []]);
});

test("a server that could not read everything gets the whole tree again", async () => {
  const { tab, socket } = await mounted();
  tab.set("x", {});
  await turn();
  socket.take();
  for (let n = 0; n < 5; n += 1) socket.say({ type: "error", error: { code: "busy", message: "too many messages" } });
  assert.equal(timers.length, 1);
  timers.pop().run();
  assert.deepEqual(socket.take().map(({ type, seq, tree }) => [type, seq, tree.children.length]), [["snapshot", 0, 1]]);
  tab.set("y", {});
  await turn();
  assert.deepEqual(socket.take().map(({ type, seq }) => [type, seq]), [["patch", 1]]);
});

// ------------------------------------------------------------------------------------------------ faults of the page

test("nothing is thrown into the page", async () => {
  const { tab, socket } = await mounted();
  const cyclic = {};
  cyclic.self = cyclic;
  const wrong = [
    ["properties", {}],
    ["a~b", {}],
    ["a", null],
    ["a", { props: cyclic }],
    ["a", { props: { big: 1n } }],
    ["a", { actions: { go: {} } }],
    ["a", { actions: { "go/on": () => {} } }],
    ["a", { items: [{ id: "x" }, { id: "x" }] }],
    ["a", { items: [{}] }],
    ["a", { children: { "x/y": {} } }],
  ];
  for (const [path, descriptor] of wrong) tab.set(path, descriptor);
  tab.remove("nobody");
  await turn();
  assert.equal(errors.length, wrong.length);
  assert.deepEqual(socket.take(), []);
});

test("not even by what hears of the faults, or by a URL that is none", () => {
  const printed = [];
  console.error = (error) => printed.push(error);
  try {
    start({ onError: () => { throw new Error("worse"); } }).set("properties", {});
    publish({ url: "no url", WebSocket: FakeSocket }).close();
  } finally {
    console.error = real.console;
  }
  assert.deepEqual(printed.map(({ name }) => name), ["Error", "TypeError"]);
  assert.equal(sockets.length, 1);
});
