// `consumer.js` against a scripted server: the first messages, copies of the tree, and listeners.
import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "./consumer.js";
import {
  TREE, clock, errors, failureCode, news, open, patch, reconnect, sockets, start, subscribed,
} from "./consumer.setup.js";

// ------------------------------------------------------------------------------------------------ hello

test("the consumer sends nothing before hello and ignores a second hello", () => {
  const consumer = start();
  const [socket] = sockets;
  socket.open();
  consumer.subscribe("/todos");
  socket.say({ type: "event", name: "early" });
  assert.deepEqual([socket.take(), consumer.status, consumer.provider], [[], "connecting", undefined]);
  socket.greet();
  assert.deepEqual(socket.take(), [{ type: "subscribe", id: "sub-1", path: "/todos" }]);
  assert.deepEqual([consumer.status, consumer.provider.name], ["open", "App"]);
  socket.greet({ name: "Other" });
  assert.deepEqual([socket.take(), consumer.provider.name], [[], "App"]);
  assert.deepEqual(news, [["status", "open"]]);
});

test("the URL is resolved against the page, uses ws or wss, and keeps its query", () => {
  globalThis.location = new URL("https://app.example/mail?x=1#top");
  const url = (url) => {
    start({ url });
    return sockets.at(-1).url;
  };
  assert.equal(url(), "wss://app.example/slop");
  assert.equal(url("/api/agents?token=t#x"), "wss://app.example/api/agents?token=t");
  assert.equal(url(new URL("http://other.example/slop")), "ws://other.example/slop");
  assert.throws(() => connect({ url: "http://" }), TypeError);
});

// ------------------------------------------------------------------------------------------------ copies

test("a subscription sends its options and is ready with its first tree", async () => {
  const { consumer, socket } = open();
  const all = { depth: 2, maxNodes: 9, filter: { types: ["item"], minSalience: 0.5 }, window: [0, 3] };
  const todos = consumer.subscribe("/todos", all);
  const filter = { types: ["item"], min_salience: 0.5 };
  assert.deepEqual(socket.take(), [
    { type: "subscribe", id: "sub-1", path: "/todos", depth: 2, max_nodes: 9, filter, window: [0, 3] },
  ]);
  assert.deepEqual([todos.tree, todos.version], [undefined, undefined]);
  socket.say({ type: "snapshot", id: "sub-1", version: 5, seq: 0, tree: TREE });
  assert.deepEqual([await todos.ready, todos.tree, todos.version], [TREE, TREE, 5]);
});

test("patches are applied in order, and the earlier copy stays as it was", () => {
  const { socket, todos, changes, id } = subscribed();
  const before = todos.tree;
  socket.say(patch(id, 1, 2));
  socket.say({ type: "batch", messages: [patch(id, 2, 3), 7, null] });
  assert.deepEqual([todos.tree.properties.n, todos.version, changes], [3, 7, [["patch", 2], ["patch", 3]]]);
  assert.equal(before.properties.n, 1);
  assert.equal(todos.tree.children[0], before.children[0], "a node that has not changed is the same object");
});

test("an unexpected snapshot replaces the copy", () => {
  const { socket, todos, changes, id } = subscribed();
  socket.say(patch(id, 1, 2));
  socket.say({ type: "snapshot", id, version: 9, seq: 0, tree: { ...TREE, properties: { n: 9 } } });
  socket.say(patch(id, 1, 10, 10));
  assert.deepEqual([todos.tree.properties.n, changes], [10, [["patch", 2], ["snapshot", 9], ["patch", 10]]]);
  assert.deepEqual(socket.take(), []);
});

test("after a gap the consumer subscribes again and applies nothing until a snapshot arrives", () => {
  const { socket, todos, changes, id } = subscribed();
  socket.say(patch(id, 2, 3));
  socket.say(patch(id, 3, 4));
  assert.deepEqual(socket.take(), [{ type: "unsubscribe", id }, { type: "subscribe", id, path: "/todos" }]);
  assert.deepEqual([todos.tree.properties.n, changes], [1, []]);
  socket.say({ type: "snapshot", id, version: 9, seq: 0, tree: { ...TREE, properties: { n: 9 } } });
  socket.say(patch(id, 1, 10));
  assert.deepEqual([todos.tree.properties.n, socket.take()], [10, []]);
});

test("after a patch that cannot be applied it subscribes again, first at once and then with delays", () => {
  const { socket, id } = subscribed();
  const bad = { type: "patch", subscription: id, seq: 1, version: 6, ops: [{ op: "remove", path: "/nobody" }] };
  const waits = [];
  for (let n = 0; n < 4; n += 1) {
    socket.say(bad);
    const before = clock.now;
    while (!socket.take().some(({ type }) => type === "subscribe")) clock.advance(1);
    waits.push(clock.now - before);
    socket.say({ type: "snapshot", id, version: 6, seq: 0, tree: TREE });
  }
  assert.deepEqual(waits, [0, 500, 1_000, 2_000]);
  socket.say(patch(id, 1, 2));
  socket.take();
  socket.say(bad);
  assert.equal(socket.take().length, 2, "after a good patch the delays start again");
});

test("patches without a sequence number are applied as they come", () => {
  const { socket, todos, id } = subscribed();
  for (const n of [2, 3]) socket.say({ ...patch(id, 1, n), seq: undefined });
  assert.deepEqual([todos.tree.properties.n, socket.take()], [3, []]);
});

test("a node that vanishes is reported as gone, and shown again when it is back", () => {
  const { socket, todos, changes, id } = subscribed();
  socket.say({ type: "error", id, error: { code: "not_found", message: "gone" } });
  assert.deepEqual([todos.tree, changes, socket.take()], [undefined, [["gone", undefined]], []]);
  socket.say({ type: "snapshot", id, version: 9, seq: 0, tree: TREE });
  assert.deepEqual([todos.tree, changes.at(-1)], [TREE, ["snapshot", 1]]);
});

test("a subscription to a node that never existed fails and is not repeated", async () => {
  const { consumer, socket } = open();
  const nobody = consumer.subscribe("/nobody");
  socket.say({ type: "error", id: "sub-1", error: { code: "not_found", message: "no such path" } });
  assert.equal(await failureCode(nobody.ready), "not_found");
  socket.take();
  socket.end();
  assert.deepEqual(reconnect().take(), []);
});

test("a subscription that the server is too busy for is repeated later", async () => {
  const { consumer, socket } = open();
  const todos = consumer.subscribe("/todos");
  const busy = { type: "error", id: "sub-1", error: { code: "busy", message: "wait" } };
  socket.say(busy);
  socket.say(busy);
  socket.take();
  clock.advance(499);
  assert.deepEqual(socket.take(), []);
  clock.advance(1);
  assert.equal(socket.take().length, 1);
  socket.say({ type: "snapshot", id: "sub-1", version: 1, seq: 0, tree: TREE });
  assert.equal(await todos.ready, todos.tree);
});

test("a closed subscription gets no more changes", async () => {
  const { socket, todos, changes, id } = subscribed();
  todos.close();
  todos.close();
  assert.deepEqual(socket.take(), [{ type: "unsubscribe", id }]);
  socket.say(patch(id, 1, 2));
  assert.deepEqual([changes, todos.tree], [[], TREE]);
  socket.end();
  assert.deepEqual(reconnect().take(), []);
});

// ------------------------------------------------------------------------------------------------ errors

test("an exception in a listener does not cost a message", () => {
  const { consumer, socket } = open({ onEvent: () => { throw new Error("event"); } });
  const todos = consumer.subscribe("/todos", {}, () => { throw new Error("listener"); });
  socket.say({ type: "event", name: "x" });
  socket.say({ type: "snapshot", id: "sub-1", version: 1, seq: 0, tree: TREE });
  socket.say(patch("sub-1", 1, 2));
  assert.equal(todos.tree.properties.n, 2);
  assert.deepEqual(errors.map(({ message }) => message), ["event", "listener", "listener"]);
});

test("messages that are not for a consumer are ignored, and errors of the server are reported", () => {
  const { socket, id } = subscribed();
  const ignored = [
    { type: "connect" }, { type: "patch", subscription: "nobody", ops: [] }, { type: "resumed", id: "nobody" },
    { type: "resumed", id }, { type: "patch", subscription: id }, { type: "batch" }, {}, [], 7, null,
  ];
  for (const message of ignored) socket.say(message);
  assert.deepEqual([socket.take(), errors], [[], []]);
  socket.onmessage({ data: "{" });
  socket.say({ type: "error", error: { code: "bad_request", message: "what?" } });
  socket.say({ type: "error" });
  assert.deepEqual(errors.map(({ code }) => code), ["bad_message", "bad_request", "internal"]);
});

test("a malformed message is reported and costs only itself", () => {
  const { socket, todos, id } = subscribed();
  let nested = { type: "batch", messages: [] };
  for (let level = 0; level < 2_000; level += 1) nested = { type: "batch", messages: [nested] };
  for (const message of [{ type: "batch", messages: 7 }, { type: "batch", messages: {} }]) socket.say(message);
  socket.say(nested);
  socket.onmessage({ data: new Blob(["{}"]) });
  socket.say({ type: "patch", subscription: id, seq: 1, version: 6, ops: [null] });
  socket.say({ type: "snapshot", id, version: 6, seq: 0, tree: TREE });
  socket.say(patch(id, 1, 2));
  assert.equal(todos.tree.properties.n, 2);
  assert.deepEqual(errors.map(({ code }) => code), ["bad_message", "bad_message", "bad_message"]);
});

test("an error of the server whose code or message is not a string still settles its request", async () => {
  const { consumer, socket } = open();
  const error = { code: 7, message: { toString: 7 } };
  const requests = [consumer.invoke("/", "go"), consumer.query("/"), consumer.subscribe("/").ready];
  socket.say({ type: "result", id: "inv-1", status: "error", error });
  socket.say({ type: "error", id: "q-2", error });
  socket.say({ type: "error", id: "sub-3", error });
  for (const request of requests) assert.equal(await failureCode(request), "internal");
  socket.say({ type: "error", error });
  assert.deepEqual(errors.map(({ code }) => code), ["internal"]);
});

test("a socket that throws when it is written to costs only that message", async () => {
  const { consumer, socket } = open();
  const send = socket.send;
  socket.send = () => { throw new Error("not now"); };
  consumer.subscribe("/a");
  socket.send = send;
  consumer.subscribe("/b");
  assert.deepEqual(socket.take().map(({ path }) => path), ["/b"]);
  assert.deepEqual(errors.map(({ message }) => message), ["not now"]);
});

test("half an emoji and a number out of range reach the copy like any other value", () => {
  const { socket, todos, id } = subscribed();
  const title = '{"op":"add","path":"/properties/title","value":"cut \\ud83d"}';
  const n = '{"op":"replace","path":"/properties/n","value":1e400}';
  socket.onmessage({ data: `{"type":"patch","subscription":"${id}","seq":1,"version":6,"ops":[${title},${n}]}` });
  assert.deepEqual(todos.tree.properties, { n: Infinity, title: "cut \ud83d" });
  socket.say(patch(id, 2, 3));
  assert.deepEqual([todos.tree.properties.n, errors], [3, []]);
});
