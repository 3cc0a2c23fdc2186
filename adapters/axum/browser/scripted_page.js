// What surrounds a module under test: the page, what a server answers over HTTP, a clock that stands still, and the
// sockets that the module has opened.
import assert from "node:assert/strict";

import { ScriptedFetch } from "./scripted_fetch.js";
import { StillClock, settled } from "./still_clock.js";

const real = {
  fetch: globalThis.fetch,
  random: Math.random,
  error: console.error,
  WebSocket: globalThis.WebSocket,
};

export class ScriptedPage {
  sockets = [];
  page = new EventTarget();
  clock = new StillClock();
  http = new ScriptedFetch();

  install() {
    this.clock.install();
    globalThis.fetch = this.http.fetch;
    globalThis.addEventListener = this.page.addEventListener.bind(this.page);
    globalThis.removeEventListener = this.page.removeEventListener.bind(this.page);
  }

  // Also takes back whatever a test may have replaced.
  uninstall() {
    this.clock.uninstall();
    Math.random = real.random;
    globalThis.fetch = real.fetch;
    globalThis.WebSocket = real.WebSocket;
    console.error = real.error;
    for (const name of ["addEventListener", "removeEventListener", "location", "document"]) delete globalThis[name];
  }

  // Advances the clock to the next attempt to connect. Returns how long that took.
  retry() {
    const [count, before] = [this.sockets.length, this.clock.now];
    while (this.sockets.length === count) {
      assert.ok(this.clock.now - before < 1_000_000, "there is no next attempt");
      this.clock.advance(1);
    }
    return this.clock.now - before;
  }

  // Fails one attempt to connect for each answer of the server, which must not keep the module from trying again.
  async failAttempts(answers, longestWaitMs) {
    for (const [n, answer] of answers.entries()) {
      this.sockets.at(-1).end();
      await settled();
      assert.equal(this.http.requests.length, n + 1, "each failed attempt is followed by a check");
      answer();
      await settled();
      assert.ok(this.retry() <= longestWaitMs);
    }
  }
}
