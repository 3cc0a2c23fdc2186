// `tab.js` against a scripted server: losing the connection, coming back, and ending.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  clock, errors, failAttempts, http, invoke, mounted, page, query, reset, retry, sockets, start,
} from "./tab.setup.js";
import { refusalBody } from "./scripted_fetch.js";
import { FAILURES } from "./scripted_socket.js";
import { settled } from "./still_clock.js";

const UNAUTHORIZED = refusalBody("unauthorized", "authentication is required");

test("after a loss it starts anew, and nothing of the old socket is sent on the new one", async () => {
  const { tab, socket } = await mounted();
  let done;
  tab.set("x", { actions: { wait: () => new Promise((resolve) => { done = resolve; }) } });
  await settled();
  assert.deepEqual((await invoke(socket, "/x", "wait")).map(({ type }) => type), ["patch"]);
  socket.end();
  retry();
  const next = sockets.at(-1);
  next.open();
  tab.set("y", {});
  done();
  await settled();
  assert.deepEqual(next.take(), []);
  next.say({ type: "connect" });
  next.say({ type: "subscribe", id: "ui-mount", path: "/", depth: -1 });
  const [hello, snapshot] = next.take();
  assert.deepEqual([hello.type, snapshot.seq, snapshot.tree.children.length], ["hello", 0, 2]);
});

// ------------------------------------------------------------------------------------------------ retry delays

test("retry delays grow from one second to thirty, are random, and start again after it was open", () => {
  for (const [name, fail] of Object.entries(FAILURES)) {
    reset();
    start();
    const waits = [];
    for (let n = 0; n < 8; n += 1) {
      fail(sockets.at(-1));
      waits.push(retry());
    }
    [1, 2, 4, 8, 16, 30, 30, 30].forEach((seconds, n) => {
      assert.ok(waits[n] >= seconds * 500 && waits[n] <= seconds * 1000, `${name}: ${waits[n]} ms at ${n}`);
    });
    sockets.at(-1).open();
    sockets.at(-1).end();
    assert.ok(retry() <= 1000, name);
  }
});

test("an open connection that fails is replaced soon", async () => {
  for (const [name, fail] of Object.entries(FAILURES)) {
    reset();
    const { tab, socket } = await mounted();
    tab.set("x", {});
    fail(socket);
    assert.ok(retry() <= 2_000, name);
    sockets[1].greet();
    fail(socket);
    clock.advance(2_000);
    assert.deepEqual([sockets.length, query(sockets[1]).tree.children.length], [2, 1], name);
  }
});

test("a socket that fails keeps a handler for errors", () => {
  start();
  sockets[0].fail();
  assert.equal(typeof sockets[0].onerror, "function", "without one, the package `ws` throws");
});

test("a server that does not send `connect` is given up after a while", () => {
  start();
  sockets[0].open();
  clock.advance(14_999);
  assert.equal(sockets[0].closedWith, undefined);
  clock.advance(1);
  assert.equal(sockets[0].closedWith, 4000);
  assert.ok(retry() <= 1_000);
});

test("the deadline of one connection does not end the next one", async () => {
  start();
  sockets[0].open();
  clock.advance(1_000);
  sockets[0].fail();
  retry();
  sockets[1].greet();
  clock.advance(100_000);
  assert.equal(sockets.length, 2);
});

test("a server that blames what it was sent is not connected to at once again and again", () => {
  start();
  let wait;
  for (let n = 0; n < 3; n += 1) {
    sockets.at(-1).open();
    sockets.at(-1).end(1008, "the tab's tree is too large");
    wait = retry();
  }
  assert.ok(wait >= 2000, `${wait} ms`);
  assert.match(errors[0].message, /too large/);
});

test("it reconnects at once when the network is back or the page becomes visible", () => {
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  start();
  page.dispatchEvent(new Event("online"));
  assert.equal(sockets.length, 1, "it is connecting already");
  sockets[0].end();
  globalThis.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(sockets.length, 1, "the page is hidden");
  globalThis.document.visibilityState = "visible";
  globalThis.document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(sockets.length, 2);
  sockets[1].end();
  page.dispatchEvent(new Event("online"));
  assert.equal(sockets.length, 3);
  sockets[2].greet();
  clock.advance(100_000);
  assert.equal(sockets.length, 3, "no other attempt is left over");
});

// ------------------------------------------------------------------------------------------------ leaving and ending

test("it disconnects when the page is left, and reconnects when the page is shown again", async () => {
  const { tab, socket } = await mounted();
  page.dispatchEvent(new Event("pagehide"));
  assert.equal(socket.closedWith, 1000);
  page.dispatchEvent(new Event("online"));
  tab.set("x", {});
  await settled();
  assert.deepEqual([sockets.length, clock.pending], [1, 0]);
  page.dispatchEvent(new Event("pageshow"));
  page.dispatchEvent(new Event("pageshow"));
  assert.equal(sockets.length, 2);
  sockets[1].greet();
  assert.equal(query(sockets[1]).tree.children[0].id, "x");
});

test("a tab that was closed stays closed", async () => {
  const { tab, socket } = await mounted();
  tab.close();
  assert.equal(socket.closedWith, 1000);
  for (const event of ["online", "pagehide", "pageshow"]) page.dispatchEvent(new Event(event));
  tab.set("x", {});
  tab.close();
  await settled();
  assert.deepEqual([sockets.length, clock.pending, socket.take(), errors], [1, 0, [], []]);
});

test("the page may close the tab when it hears why the server closed the connection", () => {
  const tab = start({ onError: () => tab.close() });
  sockets[0].greet();
  sockets[0].end(1008, "the tab's tree is too large");
  clock.advance(100_000);
  assert.deepEqual([sockets.length, clock.pending], [1, 0]);
});

// ------------------------------------------------------------------------------------------------ the credential

const URL_WITH_TOKEN = "ws://app.example/slop?token=t";

test("a credential that was revoked while the tab was offline ends it", async () => {
  const ends = [];
  const { tab, socket } = await mounted({ url: URL_WITH_TOKEN, onEnd: (end) => ends.push(end) });
  socket.end(1008, "the session was revoked");
  retry();
  sockets[1].fail();
  await settled();
  assert.equal(http.requests[0].url, "http://app.example/slop/renew?token=t&slop_role=provider&mount=ui");
  http.respond(401, UNAUTHORIZED);
  await settled();
  assert.deepEqual(ends, [{ code: 401, reason: "authentication is required", why: "unauthorized" }]);
  for (const event of ["online", "pagehide", "pageshow"]) page.dispatchEvent(new Event(event));
  tab.set("x", {});
  await settled();
  clock.advance(100_000);
  assert.deepEqual([sockets.length, clock.pending, errors.length], [2, 0, 1]);
});

test("without onEnd the end is an error, and an exception in onEnd is one too", async () => {
  for (const [onEnd, message] of [[undefined, /credential: not here/], [() => { throw new Error("end"); }, /end/]]) {
    reset();
    start({ url: URL_WITH_TOKEN, onEnd });
    sockets[0].end();
    await settled();
    http.respond(403, refusalBody("forbidden", "not here"));
    await settled();
    assert.equal(errors.length, 1);
    assert.match(errors[0].message, message);
  }
});

test("a server that is merely away is dialled for ever", async () => {
  const away = [
    () => http.fail(),
    () => http.respond(200, {}),
    () => http.respond(403, undefined),
    () => http.respond(500, refusalBody("forbidden", "by mistake")),
    ...[0, 302, 400, 404, 405, 409, 426, 429, 500, 502, 503, 504].map((status) => () => http.respond(status)),
  ];
  start({ url: URL_WITH_TOKEN });
  await failAttempts(away, 30_000);
  assert.deepEqual(errors, []);
});

test("a refusal without a body ends the tab too", async () => {
  for (const body of [undefined, null]) {
    reset();
    const ends = [];
    start({ url: "ws://app.example/api/agents/?token=t", onEnd: (end) => ends.push(end) });
    sockets[0].end();
    await settled();
    const { pathname } = new URL(http.requests[0].url);
    const { method, credentials, redirect } = http.requests[0].options;
    assert.deepEqual([pathname, method, credentials, redirect], ["/api/agents/renew", "POST", "include", "manual"]);
    http.respond(401, body);
    await settled();
    assert.deepEqual([ends, clock.pending], [[{ code: 401, reason: "", why: "unauthorized" }], 0]);
  }
});

test("there is one check at a time, it is given up after a while, and there is none after a connection", async () => {
  start({ url: URL_WITH_TOKEN });
  for (const checks of [1, 1]) {
    sockets.at(-1).end();
    await settled();
    assert.equal(http.requests.length, checks);
    retry();
  }
  clock.advance(10_000);
  await settled();
  assert.equal(http.requests[0].options.signal.aborted, true);
  sockets.at(-1).greet();
  sockets.at(-1).end();
  await settled();
  assert.equal(http.requests.length, 1);
  retry();
  sockets.at(-1).end();
  await settled();
  assert.equal(http.requests.length, 2);
});

test("a refusal counts only while the tab still tries to connect", async () => {
  const interruptions = {
    connected: () => { retry(); sockets[1].greet(); },
    closed: (tab) => tab.close(),
    hidden: () => page.dispatchEvent(new Event("pagehide")),
  };
  const withoutAbort = (url, { signal, ...options }) => globalThis.fetch(url, options);
  for (const [name, interrupt] of Object.entries(interruptions)) {
    for (const fetch of [undefined, withoutAbort]) {
      reset();
      const ends = [];
      const tab = start({ url: URL_WITH_TOKEN, fetch, onEnd: (end) => ends.push(end) });
      sockets[0].end();
      await settled();
      interrupt(tab);
      const { signal } = http.requests[0].options;
      http.respond(401, UNAUTHORIZED);
      await settled();
      assert.deepEqual([ends, errors, signal?.aborted ?? true], [[], [], true], name);
    }
  }
});

test("a WebSocket that may add a credential of its own is checked only with a fetch that does so too", async () => {
  start();
  sockets[0].end();
  await settled();
  assert.equal(http.requests.length, 0, "its 401 would say nothing about the credential of the socket");
  const ends = [];
  start({ fetch: http.fetch, onEnd: (end) => ends.push(end) });
  sockets[1].end();
  await settled();
  http.respond(401, UNAUTHORIZED);
  await settled();
  assert.equal(ends.length, 1);
});
