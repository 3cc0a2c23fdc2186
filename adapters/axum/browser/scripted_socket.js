// The other side of a module under test: a socket that says what the test wants and keeps what is sent.
import assert from "node:assert/strict";

export class ScriptedSocket {
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = url;
  }

  send(text) {
    assert.equal(this.readyState, 1, "only an open socket is written to");
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  end(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  take() {
    return this.sent.splice(0);
  }
}
