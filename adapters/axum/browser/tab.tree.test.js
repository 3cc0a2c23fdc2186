// `tab.js` against a scripted server: the first messages, and the tree that it publishes.
import assert from "node:assert/strict";
import { test } from "node:test";

import { FakeSocket, errors, invoke, mounted, query, sockets, start } from "./tab.setup.js";
import { settled } from "./still_clock.js";
import { publish } from "./tab.js";

// ------------------------------------------------------------------------------------------------ hello

test("the tab sends nothing before `connect`, and hello after every one", async () => {
  const tab = start({ name: "Inbox" });
  const [socket] = sockets;
  socket.open();
  socket.say({ type: "subscribe", id: "early" });
  tab.set("route", { props: { path: "/" } });
  await settled();
  assert.deepEqual(socket.take(), []);
  for (let n = 0; n < 2; n += 1) {
    socket.say({ type: "connect" });
    const [hello, ...more] = socket.take();
    assert.deepEqual(more, []);
    assert.equal(hello.type, "hello");
    assert.deepEqual([hello.provider.id, hello.provider.name, hello.provider.slop_version], ["ui", "Inbox", "0.1"]);
  }
});

test("messages that are not for a tab are ignored", async () => {
  const { socket } = await mounted();
  for (const message of [{ type: "event", name: "x" }, { type: "snapshot" }, {}, [], 7, null]) socket.say(message);
  socket.onmessage({ data: "{" });
  socket.onmessage({ data: new Blob(["{}"]) });
  assert.deepEqual(socket.take(), []);
  assert.equal(errors.length, 2);
});

test("a request without an id is refused", async () => {
  const { socket } = await mounted();
  socket.say({ type: "subscribe", path: "/" });
  assert.deepEqual(socket.take(), [{ type: "error", error: { code: "bad_request", message: "`id` is missing" } }]);
});

test("the URL is resolved against the page, uses ws or wss, and keeps its query", () => {
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

test("nodes appear in the order in which they were set, below groups for ancestors that were not set", async () => {
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

test("items and children are nodes, and a path that is set replaces the child that its parent listed", async () => {
  const { tab, socket } = await mounted();
  tab.set("list/b", { type: "view" });
  tab.set("list", { type: "collection", items: [{ id: "2" }, { id: "1", props: { n: 1 } }], children: { b: {}, c: {} } });
  const { children } = query(socket, "/list").tree;
  assert.deepEqual(children.map(({ id, type }) => [id, type]), [["2", "item"], ["1", "item"], ["b", "view"], ["c", "group"]]);
  tab.remove("list");
  assert.deepEqual(query(socket, "/list").tree.children.map(({ id }) => id), ["b"]);
});

test("parameters become a JSON Schema", async () => {
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

test("below the requested depth a node is a stub", async () => {
  const { tab, socket } = await mounted();
  tab.set("a/b", { props: { n: 1 }, meta: { salience: 1 } });
  assert.deepEqual(query(socket, "/a", 0).tree, { id: "a", type: "group", meta: { total_children: 1 } });
  const [leaf] = query(socket, "/a", 1).tree.children;
  assert.deepEqual(leaf, { id: "b", type: "group", properties: { n: 1 }, meta: { salience: 1 } });
  assert.equal("seq" in query(socket), false);
  assert.deepEqual(query(socket, "/nobody").error.code, "not_found");
  assert.equal(query(socket, "/ui/a").tree.id, "a");
});

// ------------------------------------------------------------------------------------------------ values

test("what JSON cannot express is left out or null, and the values are copied", async () => {
  const { tab, socket } = await mounted();
  const list = [1];
  tab.set("x", { props: { list, at: new Date(0), nothing: undefined, call: () => {}, sum: NaN, most: Infinity } });
  list.push(2);
  const properties = { list: [1], at: "1970-01-01T00:00:00.000Z", sum: null, most: null };
  assert.deepEqual(query(socket, "x").tree.properties, properties);
});

test("half an emoji is published as U+FFFD, wherever it is, and later changes are sent too", async () => {
  const half = "cut \ud83d", mark = "cut \ufffd";
  const { tab, socket, mirror } = await mounted({ name: half });
  const node = (n) => ({
    type: half,
    summary: half,
    props: { [half]: { list: [half, "\ud83d\ude00", "\\ud83d"] }, n },
    actions: { [half]: { handler: () => half, params: { [half]: { type: "string", enum: [half] } } } },
    contentRef: { type: "text", mime: "text/plain", summary: half, uri: half },
    items: [{ id: half, props: { n: 1 } }],
    children: { [`${half}!`]: {} },
  });
  for (const path of [half, `a/${half}`, `a/${half}/below`]) {
    for (const n of [1, 2]) {
      tab.set(path, node(n));
      await settled();
      assert.doesNotMatch(socket.lastText, /[^\\]\\ud/i);
      mirror.receive(socket.take());
    }
  }
  const tree = query(socket).tree;
  assert.deepEqual(mirror.tree, tree);
  assert.deepEqual(tree.properties, { label: mark });
  const below = query(socket, `/a/${mark}/below`).tree;
  assert.deepEqual(below.properties, { [mark]: { list: [mark, "\ud83d\ude00", "\\ud83d"] }, n: 2 });
  assert.deepEqual([below.id, below.type, below.meta, below.content_ref.uri], ["below", mark, { summary: mark }, mark]);
  assert.deepEqual(below.children.map(({ id }) => id), [mark, `${mark}!`]);
  assert.deepEqual((await invoke(socket, `/a/${mark}/below`, mark, { [mark]: mark })).at(-1).data, mark);
  assert.deepEqual((await invoke(socket, `/a/${half}/below`, mark, { [mark]: mark })).at(-1).data, mark);
  tab.remove(half);
  await settled();
  assert.deepEqual(socket.take()[0].ops, [{ op: "remove", path: `/${mark}` }]);
  assert.deepEqual(errors, []);
});

test("two ids or keys that differ only in halves of emoji do not break the tree", async () => {
  const { tab, socket, mirror } = await mounted();
  tab.set("x", { items: [{ id: "\ud83d" }, { id: "\ud83e" }] });
  assert.match(errors[0].message, /two children/);
  tab.set("y", { props: { "\ud83d": 1, "\ud83e": 2 } });
  await settled();
  tab.set("y", { props: { "\ud83d": 1 } });
  await settled();
  mirror.receive(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
});

// ------------------------------------------------------------------------------------------------ errors

test("no error is thrown into the page, and the node that was published before stays", async () => {
  const { tab, socket } = await mounted();
  tab.set("a", { props: { n: 1 } });
  await settled();
  socket.take();
  const cyclic = {};
  cyclic.self = cyclic;
  let nested = 1;
  for (let level = 0; level < 70; level += 1) nested = [nested];
  const unnamed = Object.assign(Object.create(null), { toString: undefined });
  const wrong = [
    ["properties", {}],
    ["a~b", {}],
    [unnamed, {}],
    ["a", null],
    ["a", { props: cyclic }],
    ["a", { props: { big: 1n } }],
    ["a", { props: { at: { toJSON() { throw new Error("not now"); } } } }],
    ["a", { props: { nested } }],
    ["a/".repeat(65), {}],
    ["a", { actions: { go: {} } }],
    ["a", { actions: { "go/on": () => {} } }],
    ["a", { items: [{ id: "x" }, { id: "x" }] }],
    ["a", { items: [{}] }],
    ["a", { children: { "x/y": {} } }],
  ];
  for (const [path, descriptor] of wrong) tab.set(path, descriptor);
  tab.remove("nobody");
  await settled();
  assert.equal(errors.length, wrong.length);
  assert.deepEqual(socket.take(), []);
  tab.remove(unnamed);
  assert.equal(errors.length, wrong.length + 1);
  assert.deepEqual(query(socket, "/a").tree.properties, { n: 1 });
});

test("a message of the server that makes no sense is answered or reported", async () => {
  const { socket } = await mounted();
  const path = { toString: 7 };
  for (const type of ["query", "subscribe"]) {
    socket.say({ type, id: "q", path });
    assert.equal(socket.take()[0].error.code, "not_found");
  }
  assert.equal((await invoke(socket, path, "go"))[0].error.code, "not_found");
  socket.say({ type: "error", error: { code: "busy", message: path } });
  assert.equal(errors.length, 1);
});

test("a socket that throws when it is written to does not throw into the page", async () => {
  const { tab, socket } = await mounted();
  const send = socket.send;
  socket.send = () => { throw new Error("not now"); };
  tab.set("a", {});
  await settled();
  socket.send = send;
  tab.set("b", {});
  await settled();
  const paths = socket.take().flatMap(({ ops }) => ops.map(({ path }) => path));
  assert.deepEqual([paths, errors.map(({ message }) => message)], [["/a", "/b"], ["not now"]]);
});

test("a name that is too large for a message is reported", async () => {
  start({ name: "x".repeat(300_000) });
  sockets[0].greet();
  assert.match(errors[0].message, /cannot be announced/);
});

test("an exception in onError and an invalid URL do not throw either", () => {
  const printed = [];
  console.error = (error) => printed.push(error);
  start({ onError: () => { throw new Error("worse"); } }).set("properties", {});
  publish({ url: "no url", WebSocket: FakeSocket }).close();
  assert.deepEqual(printed.map(({ name }) => name), ["Error", "TypeError"]);
  assert.equal(sockets.length, 1);
});
