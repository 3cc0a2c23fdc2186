// `consumer.js` against a scripted server: queries and calls, and requests that must not be sent.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  TREE, clock, errors, failure, failureCode, open, patch, reconnect, reset, sockets, start, subscribed,
} from "./consumer.setup.js";

test("responses to queries and calls are matched by their ids", async () => {
  const { consumer, socket } = open();
  const requests = [
    consumer.query("/", { depth: 0 }),
    consumer.invoke("/todos/a", "toggle"),
    consumer.invoke("/todos", "add", { title: "x" }),
    consumer.invoke("/todos", "add", { title: 1 }),
    consumer.query("/nobody"),
  ];
  assert.deepEqual(socket.take(), [
    { type: "query", id: "q-1", path: "/", depth: 0 },
    { type: "invoke", id: "inv-2", path: "/todos/a", action: "toggle", params: {} },
    { type: "invoke", id: "inv-3", path: "/todos", action: "add", params: { title: "x" } },
    { type: "invoke", id: "inv-4", path: "/todos", action: "add", params: { title: 1 } },
    { type: "query", id: "q-5", path: "/nobody" },
  ]);
  socket.say({ type: "error", id: "q-5", error: { code: "not_found", message: "no such path" } });
  socket.say({ type: "result", id: "inv-4", status: "error", error: { code: "invalid_params", message: "title" } });
  socket.say({ type: "result", id: "inv-3", status: "accepted", data: { taskId: "t" } });
  socket.say({ type: "result", id: "inv-2", status: "ok" });
  socket.say({ type: "snapshot", id: "q-1", version: 1, tree: TREE });
  assert.deepEqual(await requests[0], TREE);
  assert.deepEqual(await requests[1], { status: "ok", data: undefined });
  assert.deepEqual(await requests[2], { status: "accepted", data: { taskId: "t" } });
  assert.equal(await failureCode(requests[3]), "invalid_params");
  assert.equal(await failureCode(requests[4]), "not_found");
});

test("a request waits for a connection, but not beyond its timeout", async () => {
  const consumer = start();
  const [patient, impatient] = [consumer.query("/"), consumer.invoke("/", "go", {}, { timeoutMs: 1_000 })];
  clock.advance(1_000);
  assert.equal(await failureCode(impatient), "timeout");
  sockets[0].greet();
  assert.deepEqual(sockets[0].take().map(({ type }) => type), ["query"]);
  sockets[0].say({ type: "snapshot", id: "q-1", version: 1, tree: TREE });
  assert.deepEqual(await patient, TREE);
});

test("a request without a response in time fails, and a late response is ignored", async () => {
  const { consumer, socket } = open({ timeoutMs: 5_000, probeMs: 0 });
  const call = consumer.invoke("/", "go");
  clock.advance(5_000);
  assert.equal(await failureCode(call), "timeout");
  socket.say({ type: "result", id: "inv-1", status: "ok" });
  assert.deepEqual(errors, []);
});

test("when the connection is lost, requests that were sent fail, and later ones wait for the next one", async () => {
  const { consumer, socket } = open();
  const sent = [consumer.invoke("/", "go"), consumer.query("/")];
  socket.end();
  assert.deepEqual([await failureCode(sent[0]), await failureCode(sent[1])], ["lost", "lost"]);
  const later = consumer.query("/");
  assert.deepEqual(reconnect().take().map(({ id }) => id), ["q-3"]);
  sockets[1].say({ type: "snapshot", id: "q-3", version: 1, tree: TREE });
  assert.deepEqual(await later, TREE);
});

test("the number of waiting requests is limited", async () => {
  const consumer = start();
  const all = Array.from({ length: 1_001 }, () => consumer.query("/"));
  assert.equal(await failureCode(all.at(-1)), "busy");
  consumer.close();
  assert.equal(await failureCode(all[0]), "closed");
  await Promise.allSettled(all);
});

// ------------------------------------------------------------------------------------------------ not JSON

function cycle() {
  const object = {};
  object.self = object;
  return object;
}

function nested(levels) {
  let value = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

// Parameters that cannot be sent, and what the message must say about them.
function unsendable() {
  return [
    [{ n: 1n }, /BigInt/],
    [cycle(), /circular/],
    [{ toJSON() { throw new Error("not now"); } }, /not now/],
    [{ at: { toJSON() { throw undefined; } } }, /undefined/],
    [{ at: { toJSON() { throw Object.create(null); } } }, /unknown error/],
    [{ get x() { throw new Error("no getter"); } }, /no getter/],
    [{ amount: NaN }, /amount must be a finite number/],
    [{ list: [1, -Infinity] }, /1 must be a finite number/],
    [{ deep: nested(126) }, /more than 127 levels/],
    [{ deep: nested(100_000) }, /call stack|127 levels/],
  ];
}

test("parameters that cannot be written as JSON fail their own call, offline and online", async () => {
  for (const online of [false, true]) {
    for (const [params, message] of unsendable()) {
      const consumer = online ? open().consumer : start();
      const error = await failure(consumer.invoke("/todos", "add", params));
      assert.equal(error.code, "invalid_params", error.message);
      assert.match(error.message, message);
      reset();
    }
  }
});

test("a call that cannot be sent does not hold up the others that wait", async () => {
  const consumer = start();
  const before = consumer.invoke("/todos", "add", { title: "before" });
  const bad = unsendable().map(([params]) => consumer.invoke("/todos", "add", params));
  const after = consumer.invoke("/todos", "add", { title: "after" });
  for (const call of bad) assert.equal(await failureCode(call), "invalid_params");
  sockets[0].greet();
  const sent = sockets[0].take();
  assert.deepEqual(sent.map(({ params }) => params), [{ title: "before" }, { title: "after" }]);
  for (const { id } of sent) sockets[0].say({ type: "result", id, status: "ok" });
  assert.deepEqual([(await before).status, (await after).status, errors], ["ok", "ok", []]);
});

test("the cause of the error is what was thrown", async () => {
  const { consumer } = open();
  const cause = new Error("not now");
  const error = await failure(consumer.invoke("/", "go", { toJSON() { throw cause; } }));
  assert.equal(error.cause, cause);
});

test("parameters are sent as they were at the time of the call", () => {
  const consumer = start();
  const params = { tags: ["a"] };
  const view = { filter: { types: ["item"] } };
  consumer.invoke("/todos", "tag", params);
  consumer.query("/", view);
  consumer.subscribe("/", view);
  params.tags.push(1n);
  view.filter.types.push("late");
  sockets[0].greet();
  const [subscription, call, query] = sockets[0].take();
  assert.deepEqual(call.params, { tags: ["a"] });
  for (const { filter } of [query, subscription]) assert.deepEqual(filter, { types: ["item"] });
});

test("options that cannot be written as JSON fail the query or subscription, and nothing is thrown", async () => {
  const { consumer, socket } = open();
  const options = [{ depth: 1n }, { depth: Infinity }, { window: [0, NaN] }, { filter: { types: cycle() } }];
  for (const view of options) {
    assert.equal(await failureCode(consumer.query("/", view)), "bad_request");
    const subscription = consumer.subscribe("/", view);
    assert.equal(await failureCode(subscription.ready), "bad_request");
    subscription.close();
  }
  const thrown = { get depth() { throw new Error("no depth"); } };
  await assert.rejects(consumer.query("/", thrown), /no depth/);
  await assert.rejects(consumer.subscribe("/", thrown).ready, /no depth/);
  assert.deepEqual(socket.take(), []);
  const [query] = [failureCode(consumer.query("/", null)), consumer.subscribe("/", null)];
  socket.end();
  const kinds = reconnect().take().map(({ type }) => type);
  assert.deepEqual([kinds, await query], [["subscribe"], "lost"], "what failed is not repeated");
});

test("parameters may be nested as deeply as the server can read", () => {
  const { consumer, socket } = open();
  consumer.invoke("/", "go", { deep: nested(125) });
  assert.deepEqual(socket.take()[0].params.deep, nested(125));
});

// ------------------------------------------------------------------------------------------------ Unicode

test("half an emoji is sent as U+FFFD, wherever it is", () => {
  const { consumer, socket } = open();
  const half = "cut \ud83d", other = "\ude00 cut";
  consumer.invoke(`/todos/${half}`, "add", { title: half, [half]: { list: [other, "\ud83d\ude00"] }, toJSON: undefined });
  assert.doesNotMatch(socket.lastText, /\\ud/i);
  const [{ path, params }] = socket.take();
  const mark = "cut \ufffd";
  assert.deepEqual([path, params], [`/todos/${mark}`, { title: mark, [mark]: { list: ["\ufffd cut", "\ud83d\ude00"] } }]);
  consumer.query(half, { filter: { types: [half] } });
  consumer.subscribe(half, { filter: { types: [half] } });
  for (const message of socket.take()) assert.deepEqual([message.path, message.filter.types], [mark, [mark]]);
});

test("text that only looks like an escape is sent unchanged", () => {
  const { consumer, socket } = open();
  const texts = ["\\ud83d", "\\\\ud83d", "a\\\ud83d", "\u0000\"\n\\", "\\u0041"];
  consumer.invoke("/", "go", { texts });
  assert.deepEqual(socket.take()[0].params.texts, ["\\ud83d", "\\\\ud83d", "a\\\ufffd", "\u0000\"\n\\", "\\u0041"]);
});

// ------------------------------------------------------------------------------------------------ size

// Parameters with which a call takes exactly `bytes` bytes.
function sized(bytes, character = "x") {
  const message = { type: "invoke", id: "inv-1", path: "/", action: "go", params: { text: "" } };
  const left = bytes - Buffer.byteLength(JSON.stringify(message));
  return { text: character.repeat(left / Buffer.byteLength(character)) + "x".repeat(left % Buffer.byteLength(character)) };
}

test("a call that is larger than the server accepts is not sent, and its error names the limit", async () => {
  for (const online of [true, false]) {
    for (const character of ["x", "é", "😀"]) {
      const consumer = online ? open().consumer : start();
      const error = await failure(consumer.invoke("/", "go", sized(65_537, character)));
      assert.equal(error.code, "too_large");
      assert.match(error.message, /65537 bytes.* 65536/);
      sockets.at(-1).greet();
      assert.deepEqual(sockets.at(-1).take(), []);
      reset();
    }
  }
});

test("a call that is just as large as the server accepts is sent", () => {
  for (const character of ["x", "é", "😀"]) {
    const { consumer, socket } = open();
    consumer.invoke("/", "go", sized(65_536, character));
    assert.equal(Buffer.byteLength(socket.lastText), 65_536);
    reset();
  }
});

test("the limit can be set to that of the server", async () => {
  const small = open({ maxMessageBytes: 100 });
  assert.equal(await failureCode(small.consumer.invoke("/", "go", sized(101))), "too_large");
  assert.deepEqual(small.socket.take(), []);
  reset();
  const large = open({ maxMessageBytes: 1_000_000 });
  large.consumer.invoke("/", "go", sized(500_000));
  assert.equal(large.socket.take().length, 1);
});

test("a query or subscription that is too large fails alone", async () => {
  const { consumer, socket, todos, id } = subscribed();
  const view = { filter: { types: Array.from({ length: 10_000 }, (_, n) => `type-${n}`) } };
  assert.equal(await failureCode(consumer.query("/", view)), "too_large");
  const subscription = consumer.subscribe("/", view);
  assert.equal(await failureCode(subscription.ready), "too_large");
  assert.deepEqual(socket.take(), []);
  socket.say(patch(id, 1, 2));
  assert.equal(todos.tree.properties.n, 2);
  socket.end();
  assert.deepEqual(reconnect().take().map(({ path }) => path), ["/todos"]);
});

test("a subscription that fits only without its resume point is requested without it", () => {
  const fields = { type: "subscribe", id: "sub-1", path: "/" };
  const maxMessageBytes = JSON.stringify(fields).length + 20;
  const { consumer, socket } = open({ maxMessageBytes });
  consumer.subscribe("/");
  socket.say({ type: "snapshot", id: "sub-1", version: 5, seq: 0, tree: TREE });
  socket.end();
  assert.deepEqual(reconnect().take(), [fields]);
});
