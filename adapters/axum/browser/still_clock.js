// A clock for tests: it stands still, and timers fire only when the test advances it.
const real = { setTimeout, clearTimeout };

export class StillClock {
  now = 0;
  #timers = [];

  // Replaces the timers of the runtime.
  install() {
    globalThis.setTimeout = (run, ms) => {
      const timer = { run, at: this.now + ms };
      this.#timers.push(timer);
      return timer;
    };
    globalThis.clearTimeout = (timer) => { this.#timers = this.#timers.filter((other) => other !== timer); };
  }

  uninstall() {
    Object.assign(globalThis, real);
  }

  // How many timers have not fired.
  get pending() {
    return this.#timers.length;
  }

  // Fires whatever is due within `ms`, each at its own time.
  advance(ms) {
    const until = this.now + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (!next) break;
      clearTimeout(next);
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }
}

// Promises settle, and whatever waits for them runs.
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}
