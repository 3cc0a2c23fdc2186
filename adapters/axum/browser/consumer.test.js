// The module against a scripted server and a clock that stands still: `node --test`.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, test } from "node:test";

import { ConsumerError, connect, patched } from "./consumer.js";
import { ScriptedSocket } from "./scripted_socket.js";

// ------------------------------------------------------------------------------------------------ the other side

const real = { setTimeout, clearTimeout, random: Math.random, console: console.error };
let sockets, timers, now, errors, page, heard;

class FakeSocket extends ScriptedSocket {
  constructor(url) {
    super(url);
    sockets.push(this);
  }

  greet(provider = {}) {
    this.readyState = 1;
    const [epoch, connection] = ["e1", `c${sockets.indexOf(this) + 1}`];
    const about = { id: "app", name: "App", slop_version: "0.1", capabilities: ["state", "resume"], epoch, connection };
    this.say({ type: "hello", provider: { ...about, ...provider } });
  }
}

beforeEach(() => {
  [sockets, timers, now, errors, page, heard] = [[], [], 0, [], new EventTarget(), []];
  globalThis.setTimeout = (run, ms) => {
    const timer = { run, at: now + ms };
    timers.push(timer);
    return timer;
  };
  globalThis.clearTimeout = (timer) => { timers = timers.filter((one) => one !== timer); };
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
  Math.random = () => 0.5;
});

afterEach(() => {
  Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout });
  Math.random = real.random;
  console.error = real.console;
  for (const name of ["addEventListener", "removeEventListener", "location", "document"]) delete globalThis[name];
});

// Time goes on, and whatever is due happens at its time.
function pass(ms) {
  const until = now + ms;
  for (;;) {
    const next = timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
    if (!next) break;
    timers = timers.filter((one) => one !== next);
    now = next.at;
    next.run();
  }
  now = until;
}

function start(options = {}) {
  const url = "ws://app.example/slop?token=t";
  const tell = (what) => (...news) => heard.push([what, ...news]);
  const onError = (error) => errors.push(error);
  return connect({ url, WebSocket: FakeSocket, onError, onStatus: tell("status"), onEvent: tell("event"), onEnd: tell("end"), ...options });
}

// A consumer that was greeted.
function open(options) {
  const consumer = start(options);
  sockets[0].greet();
  heard = [];
  return { consumer, socket: sockets[0] };
}

const TREE = { id: "todos", type: "collection", properties: { n: 1 }, children: [{ id: "a", type: "item" }, { id: "b", type: "item" }] };

// A consumer with a copy of `TREE` at version 5.
function watching(options) {
  const { consumer, socket } = open(options);
  const changes = [];
  const todos = consumer.subscribe("/todos", {}, (tree, change) => changes.push([change.kind, tree?.properties.n]));
  const [{ id }] = socket.take();
  socket.say({ type: "snapshot", id, version: 5, seq: 0, tree: TREE });
  changes.length = 0;
  return { consumer, socket, todos, changes, id };
}

function count(id, seq, n, version = 5 + seq) {
  return { type: "patch", subscription: id, seq, version, ops: [{ op: "replace", path: "/properties/n", value: n }] };
}

// The next attempt: how long it was waited for.
function retry() {
  const [before, at] = [sockets.length, now];
  while (sockets.length === before) pass(1);
  return now - at;
}

function comeBack(provider) {
  retry();
  sockets.at(-1).greet(provider);
  return sockets.at(-1);
}

async function fault(promise) {
  const error = await promise.then(() => assert.fail("it must fail"), (error) => error);
  assert.ok(error instanceof ConsumerError, String(error));
  return error.code;
}

// ------------------------------------------------------------------------------------------------ greeting

test("it says nothing before the greeting, and passes over a second one", () => {
  const consumer = start();
  const [socket] = sockets;
  socket.readyState = 1;
  consumer.subscribe("/todos");
  socket.say({ type: "event", name: "early" });
  assert.deepEqual([socket.take(), consumer.status, consumer.provider], [[], "connecting", undefined]);
  socket.greet();
  assert.deepEqual(socket.take(), [{ type: "subscribe", id: "sub-1", path: "/todos" }]);
  assert.deepEqual([consumer.status, consumer.provider.name], ["open", "App"]);
  socket.greet({ name: "Other" });
  assert.deepEqual([socket.take(), consumer.provider.name], [[], "App"]);
  assert.deepEqual(heard, [["status", "open"]]);
});

test("the URL is the page's own, as a WebSocket, with its query", () => {
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

test("a server that never greets is left after a while", () => {
  start();
  pass(14_999);
  assert.equal(sockets[0].closedWith, undefined);
  pass(1);
  assert.equal(sockets[0].closedWith, 1000);
  pass(500);
  assert.equal(sockets.length, 2);
});

// ------------------------------------------------------------------------------------------------ copies

test("a subscription asks for what it is told, and is ready with its first tree", async () => {
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

test("patches are applied in order, and the copy before stays as it was", () => {
  const { socket, todos, changes, id } = watching();
  const before = todos.tree;
  socket.say(count(id, 1, 2));
  socket.say({ type: "batch", messages: [count(id, 2, 3), 7, null] });
  assert.deepEqual([todos.tree.properties.n, todos.version, changes], [3, 7, [["patch", 2], ["patch", 3]]]);
  assert.equal(before.properties.n, 1);
  assert.equal(todos.tree.children[0], before.children[0], "what did not change is the same object");
});

test("a snapshot out of the blue starts anew", () => {
  const { socket, todos, changes, id } = watching();
  socket.say(count(id, 1, 2));
  socket.say({ type: "snapshot", id, version: 9, seq: 0, tree: { ...TREE, properties: { n: 9 } } });
  socket.say(count(id, 1, 10, 10));
  assert.deepEqual([todos.tree.properties.n, changes], [10, [["patch", 2], ["snapshot", 9], ["patch", 10]]]);
  assert.deepEqual(socket.take(), []);
});

test("after a gap the copy is asked for anew, and nothing is applied until it comes", () => {
  const { socket, todos, changes, id } = watching();
  socket.say(count(id, 2, 3));
  socket.say(count(id, 3, 4));
  assert.deepEqual(socket.take(), [{ type: "unsubscribe", id }, { type: "subscribe", id, path: "/todos" }]);
  assert.deepEqual([todos.tree.properties.n, changes], [1, []]);
  socket.say({ type: "snapshot", id, version: 9, seq: 0, tree: { ...TREE, properties: { n: 9 } } });
  socket.say(count(id, 1, 10));
  assert.deepEqual([todos.tree.properties.n, socket.take()], [10, []]);
});

test("an operation that does not fit asks anew, at first at once and then with pauses", () => {
  const { socket, id } = watching();
  const bad = { type: "patch", subscription: id, seq: 1, version: 6, ops: [{ op: "remove", path: "/nobody" }] };
  const waits = [];
  for (let n = 0; n < 4; n += 1) {
    socket.say(bad);
    const at = now;
    while (!socket.take().some(({ type }) => type === "subscribe")) pass(1);
    waits.push(now - at);
    socket.say({ type: "snapshot", id, version: 6, seq: 0, tree: TREE });
  }
  assert.deepEqual(waits, [0, 500, 1_000, 2_000]);
  socket.say(count(id, 1, 2));
  socket.take();
  socket.say(bad);
  assert.equal(socket.take().length, 2, "a good patch makes up for it");
});

test("patches without a number are taken as they come", () => {
  const { socket, todos, id } = watching();
  for (const n of [2, 3]) socket.say({ ...count(id, 1, n), seq: undefined });
  assert.deepEqual([todos.tree.properties.n, socket.take()], [3, []]);
});

test("a path that vanishes is told, and shown again when it is back", () => {
  const { socket, todos, changes, id } = watching();
  socket.say({ type: "error", id, error: { code: "not_found", message: "gone" } });
  assert.deepEqual([todos.tree, changes, socket.take()], [undefined, [["gone", undefined]], []]);
  socket.say({ type: "snapshot", id, version: 9, seq: 0, tree: TREE });
  assert.deepEqual([todos.tree, changes.at(-1)], [TREE, ["snapshot", 1]]);
});

test("a path that never was fails, and is not asked for again", async () => {
  const { consumer, socket } = open();
  const nobody = consumer.subscribe("/nobody");
  socket.say({ type: "error", id: "sub-1", error: { code: "not_found", message: "no such path" } });
  assert.equal(await fault(nobody.ready), "not_found");
  socket.take();
  socket.end();
  assert.deepEqual(comeBack().take(), []);
});

test("a server that is busy is asked again later", async () => {
  const { consumer, socket } = open();
  const todos = consumer.subscribe("/todos");
  const busy = { type: "error", id: "sub-1", error: { code: "busy", message: "wait" } };
  socket.say(busy);
  socket.say(busy);
  socket.take();
  pass(499);
  assert.deepEqual(socket.take(), []);
  pass(1);
  assert.equal(socket.take().length, 1);
  socket.say({ type: "snapshot", id: "sub-1", version: 1, seq: 0, tree: TREE });
  assert.equal(await todos.ready, todos.tree);
});

test("a subscription that was closed hears nothing any more", async () => {
  const { socket, todos, changes, id } = watching();
  todos.close();
  todos.close();
  assert.deepEqual(socket.take(), [{ type: "unsubscribe", id }]);
  socket.say(count(id, 1, 2));
  assert.deepEqual([changes, todos.tree], [[], TREE]);
  socket.end();
  assert.deepEqual(comeBack().take(), []);
});

// ------------------------------------------------------------------------------------------------ operations

test("every operation does what it says", () => {
  const item = (id, more) => ({ id, type: "item", ...more });
  const tree = item("r", { properties: { "a/b": 1, "~": 2, list: [1, 2, 3], deep: { k: 1 } }, meta: { salience: 1 }, children: [
    item("a"), item("b", { children: [item("x"), item("properties-x")] }), item("c"),
  ] });
  const after = (...ops) => patched(tree, ops);
  const ids = (node) => node.children.map(({ id }) => id).join("");
  const op = (op, path, value, index) => ({ op, path, value, index });
  assert.equal(after(op("replace", "/properties/a~1b", 9)).properties["a/b"], 9);
  assert.equal(after(op("replace", "/properties/~0", 9)).properties["~"], 9);
  assert.deepEqual(after(op("replace", "/properties", { x: 1 })).properties, { x: 1 });
  assert.deepEqual(after(op("remove", "/properties/list")).properties.list, undefined);
  assert.deepEqual(after(op("replace", "/properties/deep/k", null)).properties.deep, { k: null });
  assert.deepEqual(after(op("add", "/properties/list/1", 9)).properties.list, [1, 9, 2, 3]);
  assert.deepEqual(after(op("add", "/properties/list/-", 9)).properties.list, [1, 2, 3, 9]);
  assert.deepEqual(after(op("remove", "/properties/list/0"), op("replace", "/properties/list/1", 9)).properties.list, [2, 9]);
  assert.deepEqual(after(op("add", "/properties/children", 1)).properties.children, 1, "inside a field words are keys");
  assert.deepEqual(after(op("add", "/a/properties/first", 1)).children[0].properties, { first: 1 });
  for (const verb of ["add", "replace"]) {
    for (const [field, value] of [["affordances", [{ action: "x" }]], ["meta", { salience: 0 }], ["content_ref", null]]) {
      assert.deepEqual(after(op(verb, `/a/${field}`, value)).children[0][field], value);
    }
  }
  assert.equal("meta" in after(op("replace", "/meta", {}), op("remove", "/meta")), false);
  assert.equal(after(op("replace", "/meta/salience", 0)).meta.salience, 0);
  assert.equal(ids(after(op("add", "/n", item("n")))), "abcn");
  assert.equal(ids(after(op("add", "/n", item("n"), 0))), "nabc");
  assert.equal(ids(after(op("add", "/n", item("n"), 99))), "abcn");
  assert.equal(ids(after(op("add", "/a/n", item("n"))).children[0]), "n");
  assert.equal(ids(after(op("move", "/a", undefined, 1))), "bac", "the place counts after the removal");
  assert.equal(ids(after(op("move", "/c", undefined, 0))), "cab");
  assert.equal(ids(after(op("move", "/a", undefined, 99))), "bca");
  assert.equal(ids(after(op("remove", "/b"))), "ac");
  assert.equal(after(op("replace", "/b", item("b", { type: "view" }))).children[1].type, "view");
  assert.equal(ids(after(op("remove", "/b/x")).children[1]), "properties-x");
  assert.equal(ids(after(op("remove", "/children/b/children/x")).children[1]), "properties-x");
  assert.equal(ids(after(op("replace", "/children", [item("z")]))), "z");
  assert.equal(after(op("replace", "/", item("new"))).id, "new");
  assert.equal(after(op("fly", "/b")), tree, "an unknown operation is passed over");
  assert.deepEqual(after(), tree);
});

test("an operation that does not fit is a fault, and changes nothing", () => {
  const tree = { id: "r", type: "t", properties: { n: 1, list: [] }, children: [{ id: "a", type: "t" }] };
  const before = JSON.stringify(tree);
  for (const [op, path, value] of [
    ["remove", "/nobody"], ["replace", "/nobody", {}], ["move", "/nobody"], ["add", "/a", {}], ["add", "/nobody/x", {}],
    ["replace", "/nobody/properties/x", 1], ["remove", "/meta"], ["remove", "/properties/x"], ["replace", "/properties/n/x", 1],
    ["replace", "/meta/x", 1], ["move", "/properties/n"], ["replace", "/properties/list/0", 1], ["add", "/properties/list/x", 1],
    ["remove", "/"], ["replace", "/", 7], ["remove", ""], ["replace", "/properties/constructor/x", 1], ["remove", "/properties/toString"],
  ]) {
    assert.throws(() => patched(tree, [{ op: "replace", path: "/properties/n", value: 2 }, { op, path, value }]), `${op} ${path}`);
  }
  assert.equal(JSON.stringify(tree), before);
});

test("a key that means something to JavaScript is only a key", () => {
  const tree = patched({ id: "r", type: "t", properties: {} }, [{ op: "add", path: "/properties/__proto__", value: { x: 1 } }]);
  assert.deepEqual(Object.keys(tree.properties), ["__proto__"]);
  assert.equal(tree.properties.x, undefined);
  assert.throws(() => patched(tree, [{ op: "add", path: "/properties/constructor/prototype/x", value: 1 }]));
  assert.equal({}.x, undefined);
});

// ------------------------------------------------------------------------------------------------ requests

test("a query and a call are answered by their ids", async () => {
  const { consumer, socket } = open();
  const asked = [
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
  assert.deepEqual(await asked[0], TREE);
  assert.deepEqual(await asked[1], { status: "ok", data: undefined });
  assert.deepEqual(await asked[2], { status: "accepted", data: { taskId: "t" } });
  assert.equal(await fault(asked[3]), "invalid_params");
  assert.equal(await fault(asked[4]), "not_found");
});

test("a request waits for a connection, and no longer than its time", async () => {
  const consumer = start();
  const [patient, impatient] = [consumer.query("/"), consumer.invoke("/", "go", {}, { timeoutMs: 1_000 })];
  pass(1_000);
  assert.equal(await fault(impatient), "timeout");
  sockets[0].greet();
  assert.deepEqual(sockets[0].take().map(({ type }) => type), ["query"]);
  sockets[0].say({ type: "snapshot", id: "q-1", version: 1, tree: TREE });
  assert.deepEqual(await patient, TREE);
});

test("a request that is not answered in time fails, and a late answer is nobody's", async () => {
  const { consumer, socket } = open({ timeoutMs: 5_000, probeMs: 0 });
  const call = consumer.invoke("/", "go");
  pass(5_000);
  assert.equal(await fault(call), "timeout");
  socket.say({ type: "result", id: "inv-1", status: "ok" });
  assert.deepEqual(errors, []);
});

test("what was sent and not answered fails at the loss, what was not sent is sent then", async () => {
  const { consumer, socket } = open();
  const sent = [consumer.invoke("/", "go"), consumer.query("/")];
  socket.end();
  assert.deepEqual([await fault(sent[0]), await fault(sent[1])], ["lost", "lost"]);
  const later = consumer.query("/");
  assert.deepEqual(comeBack().take().map(({ id }) => id), ["q-3"]);
  sockets[1].say({ type: "snapshot", id: "q-3", version: 1, tree: TREE });
  assert.deepEqual(await later, TREE);
});

test("there is an end to how many requests may wait", async () => {
  const consumer = start();
  const all = Array.from({ length: 1_001 }, () => consumer.query("/"));
  assert.equal(await fault(all.at(-1)), "busy");
  consumer.close();
  assert.equal(await fault(all[0]), "closed");
  await Promise.allSettled(all);
});

// ------------------------------------------------------------------------------------------------ coming back

test("it comes back after random times that double up to half a minute", () => {
  start();
  const waits = [];
  for (let n = 0; n < 8; n += 1) {
    sockets.at(-1).end();
    waits.push(retry());
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  const spread = [0, 0.999].map((random) => {
    Math.random = () => random;
    sockets.at(-1).end();
    return timers.at(-1).at - now;
  });
  assert.ok(spread[0] === 0 && spread[1] > 29_000, `${spread}`);
});

test("only a connection that lasted makes it begin with short times again", () => {
  start();
  const lose = (lasted) => {
    sockets.at(-1).greet();
    pass(lasted);
    sockets.at(-1).end();
    return retry();
  };
  assert.deepEqual([lose(0), lose(9_999), lose(9_999)], [500, 1_000, 2_000]);
  assert.deepEqual([lose(10_000), lose(0)], [500, 1_000]);
});

test("a server that goes away says when to come back", () => {
  const { socket } = open();
  socket.say({ type: "event", name: "server.draining", data: { retry_in_ms: 7_000 } });
  socket.end(1001);
  assert.equal(timers.at(-1).at - now, 7_500);
  assert.deepEqual(heard, [["event", "server.draining", { retry_in_ms: 7_000 }], ["status", "waiting"]]);
  pass(7_500);
  sockets[1].end();
  assert.equal(timers.at(-1).at - now, 1_000, "once");
});

test("a hint that is none is passed over, and one without end has an end", () => {
  for (const [hint, wait] of [["soon", 500], [-1, 500], [undefined, 500], [1e12, 300_500]]) {
    [sockets, timers] = [[], []];
    const { socket } = open();
    socket.say({ type: "event", name: "server.draining", data: { retry_in_ms: hint } });
    socket.end(1001);
    assert.equal(timers.at(-1).at - now, wait, String(hint));
  }
});

test("who comes back says where its copies stand and which connection it lost", () => {
  const { consumer, socket, todos, changes, id } = watching();
  consumer.subscribe("/inbox", { depth: 1 });
  socket.say(count(id, 1, 2));
  socket.end();
  const next = comeBack();
  assert.deepEqual(next.take(), [
    { type: "subscribe", id, path: "/todos", resume: { epoch: "e1", connection: "c1", version: 6 } },
    { type: "subscribe", id: "sub-2", path: "/inbox", depth: 1 },
  ]);
  next.say(count(id, 1, 99));
  assert.equal(todos.tree.properties.n, 2, "not before the server says that it goes on");
  next.say({ type: "resumed", id, version: 6, seq: 0 });
  next.say(count(id, 1, 3, 8));
  assert.deepEqual([todos.tree.properties.n, todos.version, changes], [3, 8, [["patch", 2], ["resumed", 2], ["patch", 3]]]);
  next.end();
  assert.deepEqual(comeBack().take()[0].resume, { epoch: "e1", connection: "c2", version: 8 });
});

test("a server that knows nothing of it any more sends a snapshot", () => {
  const { socket, todos, changes, id } = watching();
  socket.end();
  const next = comeBack();
  next.say({ type: "snapshot", id, version: 3, seq: 0, tree: { ...TREE, properties: { n: 7 } } });
  next.say(count(id, 1, 8));
  assert.deepEqual([todos.tree.properties.n, changes], [8, [["snapshot", 7], ["patch", 8]]]);
});

test("nothing is claimed of another server, of one that cannot, or of a copy that is not exact", () => {
  for (const provider of [{ epoch: "e2" }, { capabilities: ["state"] }, { capabilities: undefined }, { epoch: undefined }]) {
    [sockets, timers] = [[], []];
    const { socket } = watching();
    socket.end();
    assert.equal(comeBack(provider).take()[0].resume, undefined, JSON.stringify(provider));
  }
  [sockets, timers] = [[], []];
  const { socket, id } = watching();
  socket.say(count(id, 7, 7));
  socket.end();
  assert.equal(comeBack().take()[0].resume, undefined);
});

test("a path that vanished meanwhile is asked for again and again, with pauses", () => {
  const { socket, todos, changes, id } = watching();
  socket.end();
  const next = comeBack();
  next.take();
  const missing = { type: "error", id, error: { code: "not_found", message: "no such path" } };
  next.say(missing);
  assert.equal(next.take().length, 1);
  next.say(missing);
  assert.deepEqual([todos.tree, changes.at(-1), next.take()], [undefined, ["gone", undefined], []]);
  pass(500);
  assert.equal(next.take().length, 1);
  next.say({ type: "snapshot", id, version: 9, seq: 0, tree: TREE });
  assert.deepEqual(todos.tree, TREE);
});

test("some ends are for good, and told", async () => {
  for (const [code, why] of [[1000, "closed"], [1008, "refused"], [1009, "too_large"], [4401, "expired"], [4409, "replaced"]]) {
    [sockets, timers] = [[], []];
    const { consumer, socket, todos } = watching();
    const [call, late] = [consumer.invoke("/", "go"), consumer.subscribe("/late")];
    socket.end(code, "words");
    assert.deepEqual(heard, [["status", "ended"], ["end", { code, reason: "words", why }]]);
    assert.deepEqual([await fault(call), await fault(late.ready)], ["lost", "closed"]);
    assert.equal(await fault(consumer.query("/")), "closed");
    assert.equal(await fault(consumer.subscribe("/").ready), "closed");
    page.dispatchEvent(new Event("online"));
    pass(100_000);
    assert.deepEqual([sockets.length, timers.length, todos.tree], [1, 0, TREE]);
  }
});

test("all others are not", () => {
  start();
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, undefined]) {
    sockets.at(-1).end(code);
    assert.ok(retry() <= 15_000, String(code));
  }
});

test("after a silence it asks for a sign of life, and without one it leaves", () => {
  const { socket, id } = watching();
  pass(29_999);
  assert.deepEqual(socket.take(), []);
  pass(1);
  const [{ id: probe, ...rest }] = socket.take();
  assert.deepEqual(rest, { type: "query", path: "/", depth: 0 });
  pass(9_000);
  socket.say({ type: "error", id: probe, error: { code: "busy", message: "wait" } });
  pass(29_999);
  socket.say(count(id, 1, 2));
  pass(30_000);
  assert.equal(socket.take().length, 1, "whatever is heard puts it off");
  pass(10_000);
  assert.deepEqual([socket.closedWith, errors], [1000, []]);
  assert.deepEqual(comeBack().take()[0].resume, { epoch: "e1", connection: "c1", version: 6 });
});

test("a network that is back is looked at at once", () => {
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const { socket } = open();
  page.dispatchEvent(new Event("online"));
  assert.deepEqual(socket.take(), [], "nobody looks");
  globalThis.document.visibilityState = "visible";
  globalThis.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(socket.take().length, 1, "the socket may be dead");
  pass(10_000);
  assert.equal(socket.closedWith, 1000);
  page.dispatchEvent(new Event("online"));
  assert.equal(sockets.length, 2);
});

test("a consumer that was closed stays closed", async () => {
  const { consumer, socket } = watching();
  const call = consumer.invoke("/", "go");
  consumer.close();
  consumer.close();
  assert.equal(socket.closedWith, 1000);
  assert.equal(await fault(call), "closed");
  page.dispatchEvent(new Event("online"));
  pass(100_000);
  assert.deepEqual([sockets.length, timers.length, consumer.status], [1, 0, "ended"]);
  assert.deepEqual(heard, [["status", "ended"], ["end", { code: 1000, reason: "", why: "closed" }]]);
});

// ------------------------------------------------------------------------------------------------ the guide

test("the example of the guide runs", async () => {
  const guide = await readFile(new URL("../../../docs/guide/consumers.md", import.meta.url), "utf8");
  const [, code] = guide.match(/```js\n(.*?)```/s);
  globalThis.location = new URL("https://app.example/");
  globalThis.WebSocket = FakeSocket;
  const log = console.log;
  const said = [];
  console.log = (...words) => said.push(words);
  try {
    const here = code.replace("/slop/consumer.js", new URL("./consumer.js", import.meta.url));
    const { archive } = await import(`data:text/javascript,${encodeURIComponent(here)}`);
    const [socket] = sockets;
    socket.greet();
    assert.deepEqual(socket.take(), [{ type: "subscribe", id: "sub-1", path: "/inbox", depth: 2 }]);
    socket.say({ type: "snapshot", id: "sub-1", version: 1, seq: 0, tree: TREE });
    const archived = archive("a");
    await new Promise((resolve) => setImmediate(resolve));
    const [call] = socket.take();
    assert.deepEqual([call.path, call.action], ["/inbox/a", "archive"]);
    socket.say({ type: "result", id: call.id, status: "accepted", data: { path: "/tasks/t" } });
    assert.equal(await archived, "/tasks/t");
    assert.deepEqual(said, [["connection:", "open"], ["snapshot", 2]]);
  } finally {
    console.log = log;
    delete globalThis.WebSocket;
  }
});

// ------------------------------------------------------------------------------------------------ faults

test("what a listener throws costs no message", () => {
  const { consumer, socket } = open({ onEvent: () => { throw new Error("event"); } });
  const todos = consumer.subscribe("/todos", {}, () => { throw new Error("listener"); });
  socket.say({ type: "event", name: "x" });
  socket.say({ type: "snapshot", id: "sub-1", version: 1, seq: 0, tree: TREE });
  socket.say(count("sub-1", 1, 2));
  assert.equal(todos.tree.properties.n, 2);
  assert.deepEqual(errors.map(({ message }) => message), ["event", "listener", "listener"]);
});

test("what is not for a consumer is passed over, and what is wrong is told", () => {
  const { socket, id } = watching();
  for (const message of [{ type: "connect" }, { type: "patch", subscription: "nobody", ops: [] }, { type: "resumed", id: "nobody" },
    { type: "resumed", id }, { type: "patch", subscription: id }, { type: "batch" }, {}, [], 7, null]) socket.say(message);
  assert.deepEqual([socket.take(), errors], [[], []]);
  socket.onmessage({ data: "{" });
  socket.say({ type: "error", error: { code: "bad_request", message: "what?" } });
  socket.say({ type: "error" });
  assert.deepEqual(errors.map(({ code }) => code), ["bad_message", "bad_request", "internal"]);
});

test("a socket that cannot be made is tried again", () => {
  let tries = 0;
  start({ WebSocket: class { constructor() { tries += 1; throw new Error("no"); } } });
  pass(500);
  assert.deepEqual([tries, errors.length], [2, 2]);
});
