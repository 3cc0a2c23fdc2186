// `consumer.js` against a scripted server that refuses the credential while there is no connection.
import assert from "node:assert/strict";
import { test } from "node:test";

import {
  FakeSocket, TREE, clock, errors, failAttempts, failureCode, http, news, open, page, reset, retry, sockets, start,
  subscribed,
} from "./consumer.setup.js";
import { refusalBody } from "./scripted_fetch.js";
import { settled } from "./still_clock.js";

const UNAUTHORIZED = refusalBody("unauthorized", "authentication is required");

test("a credential that was revoked while the consumer was offline ends it", async () => {
  const { consumer, socket, todos } = subscribed();
  socket.end();
  const code = failureCode(consumer.invoke("/", "go"));
  retry();
  sockets[1].fail();
  await settled();
  http.respond(401, UNAUTHORIZED);
  await settled();
  assert.deepEqual(news.slice(-2), [
    ["status", "ended"],
    ["end", { code: 401, reason: "authentication is required", why: "unauthorized" }],
  ]);
  assert.equal(await code, "closed");
  page.dispatchEvent(new Event("online"));
  clock.advance(100_000);
  assert.deepEqual([sockets.length, clock.pending, todos.tree, errors], [2, 0, TREE, []]);
});

test("so does one that was never accepted, and one of somebody who may not connect", async () => {
  for (const [status, body, end] of [
    [401, UNAUTHORIZED, { code: 401, reason: "authentication is required", why: "unauthorized" }],
    [401, undefined, { code: 401, reason: "", why: "unauthorized" }],
    [401, null, { code: 401, reason: "", why: "unauthorized" }],
    [403, refusalBody("forbidden", "not in this project"), { code: 403, reason: "not in this project", why: "forbidden" }],
  ]) {
    reset();
    const consumer = start();
    sockets[0].end();
    await settled();
    http.respond(status, body);
    await settled();
    assert.deepEqual([consumer.status, news.at(-1)], ["ended", ["end", end]]);
  }
});

test("the check presents the same credential to the renewal endpoint", async () => {
  globalThis.location = new URL("https://app.example/mail");
  globalThis.WebSocket = FakeSocket;
  const asked = (url) => {
    start({ url, WebSocket: undefined });
    sockets.at(-1).end();
    return http.requests.at(-1).url;
  };
  assert.equal(asked(undefined), "https://app.example/slop/renew");
  assert.equal(asked("/api/agents/?token=a%20b#x"), "https://app.example/api/agents/renew?token=a%20b");
  assert.equal(asked("ws://other.example:8080/"), "http://other.example:8080/renew");
  const { method, credentials, redirect } = http.requests.at(-1).options;
  assert.deepEqual([method, credentials, redirect], ["POST", "include", "manual"]);
});

test("a server that is merely away is dialled for ever", async () => {
  const away = [
    () => http.fail(),
    () => http.respond(200, { expires_in_ms: 1_000 }),
    () => http.respond(409, refusalBody("conflict", "no session is open that this credential is for")),
    () => http.respond(503, refusalBody("unavailable", "the provider cannot take connections now")),
    () => http.respond(403, undefined),
    () => http.respond(403, refusalBody("blocked", "unusual traffic")),
    () => http.respond(500, refusalBody("forbidden", "by mistake")),
    () => http.respond(0),
    ...[302, 400, 404, 405, 426, 429, 500, 502, 504].map((status) => () => http.respond(status)),
  ];
  const consumer = start();
  await failAttempts(away, 15_000);
  sockets.at(-1).greet();
  assert.deepEqual([consumer.status, errors], ["open", []]);
});

test("there is no check before an attempt has failed, nor after the loss of a connection", async () => {
  const { socket } = open();
  for (const code of [1001, 1006, 1013]) {
    sockets.at(-1).end(code);
    await settled();
    retry();
    sockets.at(-1).greet();
  }
  assert.deepEqual([http.requests.length, socket.closedWith], [0, undefined]);
});

test("there is one check at a time, and it is given up after a while", async () => {
  start();
  const attempt = async () => {
    sockets.at(-1).end();
    await settled();
  };
  await attempt();
  retry();
  await attempt();
  assert.equal(http.requests.length, 1);
  clock.advance(10_000);
  await settled();
  assert.equal(http.requests[0].options.signal.aborted, true);
  await attempt();
  assert.equal(http.requests.length, 2);
});

test("a refusal that arrives after the connection is back does not count", async () => {
  const withoutAbort = (url, { signal, ...options }) => globalThis.fetch(url, options);
  for (const fetch of [undefined, withoutAbort]) {
    reset();
    const consumer = start({ fetch });
    sockets[0].end();
    await settled();
    retry();
    sockets[1].greet();
    const { signal } = http.requests[0].options;
    http.respond(401, UNAUTHORIZED);
    await settled();
    assert.deepEqual([consumer.status, signal?.aborted ?? true], ["open", true]);
  }
});

test("a refusal that arrives during the next attempt ends the consumer", async () => {
  const consumer = start();
  sockets[0].end();
  await settled();
  retry();
  http.respond(401, UNAUTHORIZED);
  await settled();
  assert.deepEqual([consumer.status, sockets[1].closedWith], ["ended", 1000]);
  sockets[1].greet();
  assert.equal(consumer.status, "ended");
});

test("a consumer that is closed during the check ends once", async () => {
  const consumer = start();
  sockets[0].end();
  await settled();
  consumer.close();
  http.respond(401, UNAUTHORIZED);
  await settled();
  assert.deepEqual(news.filter(([kind]) => kind === "end"), [["end", { code: 1000, reason: "", why: "closed" }]]);
  assert.equal(clock.pending, 0);
});

test("a WebSocket that may add a credential of its own is checked only with a fetch that does so too", async () => {
  const url = "ws://app.example/slop";
  start({ url });
  sockets[0].end();
  await settled();
  assert.equal(http.requests.length, 0, "its 401 would say nothing about the credential of the socket");
  const consumer = start({ url, fetch: http.fetch });
  sockets[1].end();
  await settled();
  http.respond(401, UNAUTHORIZED);
  await settled();
  assert.equal(consumer.status, "ended");
});

test("a runtime without fetch keeps trying", async () => {
  delete globalThis.fetch;
  const consumer = start();
  sockets[0].end();
  await settled();
  assert.deepEqual([retry(), consumer.status, errors], [500, "connecting", []]);
});
