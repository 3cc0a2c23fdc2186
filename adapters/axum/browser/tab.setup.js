// What the tests of `tab.js` share: a scripted server, a clock that stands still, and a page.
import assert from "node:assert/strict";
import { afterEach, beforeEach } from "node:test";

import { Mirror } from "./mirror.js";
import { ScriptedPage } from "./scripted_page.js";
import { ScriptedSocket } from "./scripted_socket.js";
import { settled } from "./still_clock.js";
import { publish } from "./tab.js";

export let sockets, clock, http, errors, page;
let surroundings;

export class FakeSocket extends ScriptedSocket {
  constructor(url) {
    super(url);
    sockets.push(this);
  }

  // The server accepts the connection and asks who is there.
  greet() {
    this.open();
    this.say({ type: "connect" });
  }
}

// Forgets everything that happened before.
export function reset() {
  errors = [];
  surroundings = new ScriptedPage();
  surroundings.install();
  ({ sockets, clock, http, page } = surroundings);
}

beforeEach(reset);

afterEach(() => surroundings.uninstall());

export function start(options = {}) {
  const url = "ws://app.example/slop";
  return publish({ url, WebSocket: FakeSocket, onError: (error) => errors.push(error), ...options });
}

// A tab whose server has subscribed to its whole tree.
export async function mounted(options) {
  const tab = start(options);
  const socket = sockets.at(-1);
  return { tab, socket, mirror: mount(socket) };
}

export function mount(socket) {
  socket.greet();
  socket.say({ type: "subscribe", id: "ui-mount", path: "/", depth: -1 });
  return new Mirror(socket.take().at(-1));
}

export function query(socket, path = "/", depth = -1) {
  socket.say({ type: "query", id: "q", path, depth });
  return socket.take().at(-1);
}

// What the tab sends from a call until nothing more happens.
export async function invoke(socket, path, action, params) {
  socket.say({ type: "invoke", id: "i", path, action, params });
  await settled();
  return socket.take();
}

export async function result(socket, path, action, params) {
  return (await invoke(socket, path, action, params)).find(({ type }) => type === "result");
}

// Advances the clock to the next attempt to connect. Returns how long that took.
export const retry = () => surroundings.retry();

// Fails one attempt to connect for each answer of the server.
export const failAttempts = (answers, longestWaitMs) => surroundings.failAttempts(answers, longestWaitMs);
