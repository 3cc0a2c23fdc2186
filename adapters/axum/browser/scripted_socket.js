// The server's end of the connection of a module under test: it sends what the test says and keeps what it receives.
import assert from "node:assert/strict";

export class ScriptedSocket {
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = url;
  }

  // What follows is for the module.

  send(text) {
    assert.equal(this.readyState, 1, "the module writes only to an open socket");
    this.sent.push(JSON.parse(text));
    this.lastText = text;
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  // What follows is for the test.

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  // The connection is lost, or the server closes it.
  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  // The connection fails. Browsers send `close` right after this event, some runtimes never do.
  fail() {
    this.onerror?.({ type: "error" });
  }

  take() {
    return this.sent.splice(0);
  }
}

// What a runtime may send when a connection fails, in any number and order.
export const FAILURES = {
  "only error": (socket) => socket.fail(),
  "only close": (socket) => socket.end(),
  "error, then close": (socket) => { socket.fail(); socket.end(); },
  "close, then error": (socket) => { socket.end(); socket.fail(); },
  "both, twice": (socket) => { for (let n = 0; n < 2; n += 1) { socket.fail(); socket.end(); } },
};
