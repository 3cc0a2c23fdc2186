// What the tests of `consumer.js` share: a scripted server, a clock that stands still, and a page.
import assert from "node:assert/strict";
import { afterEach, beforeEach } from "node:test";

import { ConsumerError, connect } from "./consumer.js";
import { ScriptedPage } from "./scripted_page.js";
import { ScriptedSocket } from "./scripted_socket.js";

export let sockets, clock, http, errors, page, news;
let surroundings;

export class FakeSocket extends ScriptedSocket {
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

// Forgets everything that happened before.
export function reset() {
  [errors, news] = [[], []];
  surroundings = new ScriptedPage();
  surroundings.install();
  ({ sockets, clock, http, page } = surroundings);
  Math.random = () => 0.5;
}

beforeEach(reset);

afterEach(() => surroundings.uninstall());

export function start(options = {}) {
  const url = "ws://app.example/slop?token=t";
  const record = (kind) => (...args) => news.push([kind, ...args]);
  const listeners = { onStatus: record("status"), onEvent: record("event"), onEnd: record("end") };
  return connect({ url, WebSocket: FakeSocket, onError: (error) => errors.push(error), ...listeners, ...options });
}

// A consumer that is connected.
export function open(options) {
  const consumer = start(options);
  sockets[0].greet();
  news = [];
  return { consumer, socket: sockets[0] };
}

export const TREE = {
  id: "todos",
  type: "collection",
  properties: { n: 1 },
  children: [{ id: "a", type: "item" }, { id: "b", type: "item" }],
};

// A connected consumer with a copy of `TREE` at version 5.
export function subscribed(options) {
  const { consumer, socket } = open(options);
  const changes = [];
  const todos = consumer.subscribe("/todos", {}, (tree, change) => changes.push([change.kind, tree?.properties.n]));
  const [{ id }] = socket.take();
  socket.say({ type: "snapshot", id, version: 5, seq: 0, tree: TREE });
  changes.length = 0;
  return { consumer, socket, todos, changes, id };
}

// A patch that sets the property `n`.
export function patch(id, seq, n, version = 5 + seq) {
  return { type: "patch", subscription: id, seq, version, ops: [{ op: "replace", path: "/properties/n", value: n }] };
}

// Advances the clock to the next attempt to connect. Returns how long that took.
export const retry = () => surroundings.retry();

// Fails one attempt to connect for each answer of the server.
export const failAttempts = (answers, longestWaitMs) => surroundings.failAttempts(answers, longestWaitMs);

export function reconnect(provider) {
  retry();
  sockets.at(-1).greet(provider);
  return sockets.at(-1);
}

// The error with which a promise fails.
export async function failure(promise) {
  const error = await promise.then(() => assert.fail("it must fail"), (error) => error);
  assert.ok(error instanceof ConsumerError, String(error));
  return error;
}

export async function failureCode(promise) {
  return (await failure(promise)).code;
}
