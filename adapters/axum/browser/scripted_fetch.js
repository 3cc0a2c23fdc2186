// HTTP for tests of the credential check: it keeps the requests, and the test responds to them.
export class ScriptedFetch {
  requests = [];

  // To be given to a module. Browsers throw if `fetch` is called as the method of another object.
  fetch = (() => {
    const { requests } = this;
    return function fetch(url, options) {
      if (this !== undefined && this !== globalThis) throw new TypeError("Illegal invocation");
      return new Promise((resolve, reject) => {
        options.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
        requests.push({ url, options, resolve, reject });
      });
    };
  })();

  // Responds to the last request. Without a body, the response is not JSON.
  respond(status, body) {
    const json = async () => body ?? JSON.parse("<html>");
    this.requests.at(-1).resolve({ status, json });
  }

  // The server cannot be reached.
  fail() {
    this.requests.at(-1).reject(new TypeError("fetch failed"));
  }
}

// The body with which the server refuses a request.
export function refusalBody(code, message) {
  return { error: { code, message } };
}
