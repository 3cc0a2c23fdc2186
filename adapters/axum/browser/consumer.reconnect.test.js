// `consumer.js` against a scripted server: retry delays, resuming, liveness, and the ends that are final.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import {
  FakeSocket, TREE, clock, errors, failureCode, http, news, open, page, patch, reconnect, reset, retry, sockets, start,
  subscribed,
} from "./consumer.setup.js";
import { FAILURES } from "./scripted_socket.js";
import { settled } from "./still_clock.js";

// ------------------------------------------------------------------------------------------------ retry delays

test("retry delays are random and double up to half a minute", () => {
  start();
  const waits = [];
  for (let n = 0; n < 8; n += 1) {
    sockets.at(-1).end();
    waits.push(retry());
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  const [shortest, longest] = [0, 0.999].map((random) => {
    Math.random = () => random;
    sockets.at(-1).end();
    return retry();
  });
  assert.ok(shortest <= 1 && longest > 29_000, `${shortest}, ${longest}`);
});

test("the delays start from the beginning only after a connection that lasted", () => {
  start();
  const lose = (lasted) => {
    sockets.at(-1).greet();
    clock.advance(lasted);
    sockets.at(-1).end();
    return retry();
  };
  assert.deepEqual([lose(0), lose(9_999), lose(9_999)], [500, 1_000, 2_000]);
  assert.deepEqual([lose(10_000), lose(0)], [500, 1_000]);
});

test("a server that drains says when to come back", () => {
  const { socket } = open();
  socket.say({ type: "event", name: "server.draining", data: { retry_in_ms: 7_000 } });
  socket.end(1001);
  assert.deepEqual(news, [["event", "server.draining", { retry_in_ms: 7_000 }], ["status", "waiting"]]);
  assert.equal(retry(), 7_500);
  sockets[1].end();
  assert.equal(retry(), 1_000, "it counts once");
});

test("a retry hint that is not a time is ignored, and a very long one is limited", () => {
  for (const [hint, wait] of [["soon", 500], [-1, 500], [undefined, 500], [1e12, 300_500]]) {
    reset();
    const { socket } = open();
    socket.say({ type: "event", name: "server.draining", data: { retry_in_ms: hint } });
    socket.end(1001);
    assert.equal(retry(), wait, String(hint));
  }
});

test("a server that does not send hello is given up after a while", () => {
  start();
  clock.advance(14_999);
  assert.equal(sockets[0].closedWith, undefined);
  clock.advance(1);
  assert.equal(sockets[0].closedWith, 4000);
  assert.equal(retry(), 500);
});

test("a socket that cannot be constructed is tried again", () => {
  let tries = 0;
  start({ WebSocket: class { constructor() { tries += 1; throw new Error("no"); } } });
  clock.advance(500);
  assert.deepEqual([tries, errors.length], [2, 2]);
});

// ------------------------------------------------------------------------------------------------ failure events

test("a refused connection is retried at once, whichever events the runtime sends", () => {
  for (const [name, fail] of Object.entries(FAILURES)) {
    reset();
    start();
    const waits = [];
    for (let n = 0; n < 4; n += 1) {
      fail(sockets.at(-1));
      waits.push(retry());
    }
    assert.deepEqual(waits, [500, 1_000, 2_000, 4_000], name);
    assert.deepEqual(news.map(([, status]) => status).slice(0, 3), ["waiting", "connecting", "waiting"], name);
  }
});

test("late events of a failed socket do not disturb the next one", () => {
  for (const [name, fail] of Object.entries(FAILURES)) {
    reset();
    const consumer = start();
    const [first] = sockets;
    first.fail();
    reconnect();
    fail(first);
    first.say({ type: "hello", provider: { id: "old", name: "Old" } });
    clock.advance(2_000);
    assert.deepEqual([sockets.length, consumer.status, consumer.provider.name], [2, "open", "App"], name);
  }
});

test("an open connection that fails is retried soon, and its close code counts if there is one", async () => {
  for (const [name, fail] of Object.entries(FAILURES)) {
    reset();
    const { consumer, socket } = open();
    const call = consumer.invoke("/", "go");
    fail(socket);
    assert.ok(retry() <= 1_500, name);
    assert.equal(await failureCode(call), "lost", name);
  }
  reset();
  const { consumer, socket } = open();
  socket.fail();
  socket.end(4401, "expired");
  assert.equal(consumer.status, "ended");
  assert.deepEqual(news.at(-1), ["end", { code: 4401, reason: "expired", why: "expired" }]);
});

test("a socket that is given up keeps a handler for errors", () => {
  start();
  clock.advance(15_000);
  assert.equal(typeof sockets[0].onerror, "function", "without one, the package `ws` throws");
  sockets[0].fail();
});

// ------------------------------------------------------------------------------------------------ resuming

test("after a reconnect, each subscription names its version and the lost connection", () => {
  const { consumer, socket, todos, changes, id } = subscribed();
  consumer.subscribe("/inbox", { depth: 1 });
  socket.say(patch(id, 1, 2));
  socket.end();
  const next = reconnect();
  assert.deepEqual(next.take(), [
    { type: "subscribe", id, path: "/todos", resume: { epoch: "e1", connection: "c1", version: 6 } },
    { type: "subscribe", id: "sub-2", path: "/inbox", depth: 1 },
  ]);
  next.say(patch(id, 1, 99));
  assert.equal(todos.tree.properties.n, 2, "not before the server confirms that it resumes");
  next.say({ type: "resumed", id, version: 6, seq: 0 });
  next.say(patch(id, 1, 3, 8));
  const expected = [["patch", 2], ["resumed", 2], ["patch", 3]];
  assert.deepEqual([todos.tree.properties.n, todos.version, changes], [3, 8, expected]);
  next.end();
  assert.deepEqual(reconnect().take()[0].resume, { epoch: "e1", connection: "c2", version: 8 });
});

test("a server that cannot resume sends a snapshot instead", () => {
  const { socket, todos, changes, id } = subscribed();
  socket.end();
  const next = reconnect();
  next.say({ type: "snapshot", id, version: 3, seq: 0, tree: { ...TREE, properties: { n: 7 } } });
  next.say(patch(id, 1, 8));
  assert.deepEqual([todos.tree.properties.n, changes], [8, [["snapshot", 7], ["patch", 8]]]);
});

test("no resume point is sent to another server, to one that cannot resume, or for a copy that is out of step", () => {
  const providers = [{ epoch: "e2" }, { capabilities: ["state"] }, { capabilities: undefined }, { epoch: undefined }];
  for (const provider of providers) {
    reset();
    const { socket } = subscribed();
    socket.end();
    assert.equal(reconnect(provider).take()[0].resume, undefined, JSON.stringify(provider));
  }
  reset();
  const { socket, id } = subscribed();
  socket.say(patch(id, 7, 7));
  socket.end();
  assert.equal(reconnect().take()[0].resume, undefined);
});

test("a node that vanished while the connection was lost is requested repeatedly, with delays", () => {
  const { socket, todos, changes, id } = subscribed();
  socket.end();
  const next = reconnect();
  next.take();
  const missing = { type: "error", id, error: { code: "not_found", message: "no such path" } };
  next.say(missing);
  assert.equal(next.take().length, 1);
  next.say(missing);
  assert.deepEqual([todos.tree, changes.at(-1), next.take()], [undefined, ["gone", undefined], []]);
  clock.advance(500);
  assert.equal(next.take().length, 1);
  next.say({ type: "snapshot", id, version: 9, seq: 0, tree: TREE });
  assert.deepEqual(todos.tree, TREE);
});

// ------------------------------------------------------------------------------------------------ the end

test("some close codes end the consumer, and the reason is reported", async () => {
  const final = [[1000, "closed"], [1008, "refused"], [1009, "too_large"], [4401, "expired"], [4409, "replaced"]];
  for (const [code, why] of final) {
    reset();
    const { consumer, socket, todos } = subscribed();
    const [call, late] = [consumer.invoke("/", "go"), consumer.subscribe("/late")];
    socket.end(code, "words");
    assert.deepEqual(news, [["status", "ended"], ["end", { code, reason: "words", why }]]);
    assert.deepEqual([await failureCode(call), await failureCode(late.ready)], ["lost", "closed"]);
    assert.equal(await failureCode(consumer.query("/")), "closed");
    assert.equal(await failureCode(consumer.subscribe("/").ready), "closed");
    page.dispatchEvent(new Event("online"));
    clock.advance(100_000);
    assert.deepEqual([sockets.length, clock.pending, todos.tree], [1, 0, TREE]);
  }
});

test("all other close codes are followed by a reconnect", () => {
  start();
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, undefined]) {
    sockets.at(-1).end(code);
    assert.ok(retry() <= 15_000, String(code));
  }
});

test("a consumer that was closed stays closed", async () => {
  const { consumer, socket } = subscribed();
  const call = consumer.invoke("/", "go");
  consumer.close();
  consumer.close();
  assert.equal(socket.closedWith, 1000);
  assert.equal(await failureCode(call), "closed");
  page.dispatchEvent(new Event("online"));
  clock.advance(100_000);
  assert.deepEqual([sockets.length, clock.pending, consumer.status], [1, 0, "ended"]);
  assert.deepEqual(news, [["status", "ended"], ["end", { code: 1000, reason: "", why: "closed" }]]);
});

test("a listener may close the consumer at any moment, and it ends once", async () => {
  const moments = {
    waiting: () => sockets[0].end(),
    connecting: () => { sockets[0].end(); clock.advance(500); },
    open: () => sockets[0].greet(),
  };
  for (const [moment, happen] of Object.entries(moments)) {
    reset();
    let ends = 0;
    const onStatus = (status) => { if (status === moment) consumer.close(); };
    const consumer = start({ onStatus, onEnd: () => { ends += 1; } });
    consumer.subscribe("/");
    happen();
    await settled();
    if (http.requests.length > 0) http.respond(401);
    await settled();
    clock.advance(100_000);
    assert.deepEqual([ends, sockets.length, clock.pending, consumer.status], [1, 1, 0, "ended"], moment);
  }
  let tries = 0;
  class NoSocket { constructor() { tries += 1; throw new Error("no"); } }
  const consumer = start({ WebSocket: NoSocket, onError: () => { if (tries === 2) consumer.close(); } });
  clock.advance(100_000);
  assert.deepEqual([tries, consumer.status, clock.pending], [2, "ended", 0]);
});

// ------------------------------------------------------------------------------------------------ liveness

test("after a silence the server is probed, and without a response the connection is given up", () => {
  const { socket, id } = subscribed();
  clock.advance(29_999);
  assert.deepEqual(socket.take(), []);
  clock.advance(1);
  const [{ id: probe, ...rest }] = socket.take();
  assert.deepEqual(rest, { type: "query", path: "/", depth: 0 });
  clock.advance(9_000);
  socket.say({ type: "error", id: probe, error: { code: "busy", message: "wait" } });
  clock.advance(29_999);
  socket.say(patch(id, 1, 2));
  clock.advance(30_000);
  assert.equal(socket.take().length, 1, "any message postpones the probe");
  clock.advance(10_000);
  assert.deepEqual([socket.closedWith, errors], [4000, []], "a fault, and no goodbye");
  assert.deepEqual(reconnect().take()[0].resume, { epoch: "e1", connection: "c1", version: 6 });
});

test("when the network comes back the connection is checked at once", () => {
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  const { socket } = open();
  page.dispatchEvent(new Event("online"));
  assert.deepEqual(socket.take(), [], "the page is hidden");
  globalThis.document.visibilityState = "visible";
  globalThis.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(socket.take().length, 1, "the socket may be dead");
  clock.advance(10_000);
  assert.equal(socket.closedWith, 4000);
  page.dispatchEvent(new Event("online"));
  assert.equal(sockets.length, 2);
});

test("a page that keeps its place says no goodbye when it is left, and returns when it is shown again", () => {
  const { consumer, socket, id } = subscribed({ keepPlace: true });
  page.dispatchEvent(new Event("pagehide"));
  assert.deepEqual([socket.closedWith, consumer.status], [4000, "waiting"]);
  page.dispatchEvent(new Event("pagehide"));
  const [request] = reconnect().take();
  assert.deepEqual([request.id, request.resume.version], [id, 5]);
  consumer.close();
  page.dispatchEvent(new Event("pagehide"));
  assert.equal(sockets[1].closedWith, 1000, "whoever closes it leaves");
});

test("the browser closes the connection of any other page", () => {
  const { consumer, socket } = open();
  page.dispatchEvent(new Event("pagehide"));
  assert.deepEqual([socket.closedWith, consumer.status], [undefined, "open"]);
});

// ------------------------------------------------------------------------------------------------ the guide

test("the example of the guide works", async () => {
  const guide = await readFile(new URL("../../../docs/guide/consumers.md", import.meta.url), "utf8");
  const [, code] = guide.match(/```js\n(.*?)```/s);
  globalThis.location = new URL("https://app.example/");
  globalThis.WebSocket = FakeSocket;
  const log = console.log;
  const lines = [];
  console.log = (...words) => lines.push(words);
  try {
    const here = code.replace("/slop/consumer.js", new URL("./consumer.js", import.meta.url));
    const { archive } = await import(`data:text/javascript,${encodeURIComponent(here)}`);
    const [socket] = sockets;
    socket.greet();
    assert.deepEqual(socket.take(), [{ type: "subscribe", id: "sub-1", path: "/inbox", depth: 2 }]);
    socket.say({ type: "snapshot", id: "sub-1", version: 1, seq: 0, tree: TREE });
    const archived = archive("a");
    await settled();
    const [call] = socket.take();
    assert.deepEqual([call.path, call.action], ["/inbox/a", "archive"]);
    socket.say({ type: "result", id: call.id, status: "accepted", data: { path: "/tasks/t" } });
    assert.equal(await archived, "/tasks/t");
    assert.deepEqual(lines, [["connection:", "open"], ["snapshot", 2]]);
  } finally {
    console.log = log;
  }
});
