// Both modules on Node's own `WebSocket` and `fetch`, against real sockets. When a connection is refused, that
// `WebSocket` sends `error` and never `close`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { test } from "node:test";
import { promisify } from "node:util";

const FLAG = "--experimental-websocket";
const flags = globalThis.WebSocket ? [] : [FLAG];
const canRun = flags.length === 0 || process.allowedNodeEnvironmentFlags.has(FLAG);
const skip = canRun ? false : `Node ${process.version} has no WebSocket`;
// Long for what happens here, short for a module that waits for an event that never comes.
const LIMIT_MS = 10_000;

// Runs `script` in a process of its own, which has a WebSocket. Returns what it prints.
async function run(script, port) {
  const prelude = `
    import { connect } from "${new URL("./consumer.js", import.meta.url)}";
    import { publish } from "${new URL("./tab.js", import.meta.url)}";
    const url = "ws://127.0.0.1:${port}/slop?token=t";
    Math.random = () => 0;
  `;
  const program = [...flags, "--no-warnings", "--input-type=module", "--eval", prelude + script];
  const { stdout } = await promisify(execFile)(process.execPath, program, { timeout: LIMIT_MS });
  return stdout.trim().split("\n");
}

async function listen(respond) {
  const server = createServer(respond);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: server.address().port };
}

// A port on which nothing listens.
async function refusedPort() {
  const { server, port } = await listen();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const THREE_ATTEMPTS = `
  const statuses = [];
  const consumer = connect({ url, onStatus: (status) => {
    statuses.push(status);
    if (statuses.filter((status) => status === "waiting").length === 3) consumer.close();
  }, onEnd: () => console.log(statuses.join(" ")) });
`;

test("a consumer that nobody listens to retries at once", { skip }, async () => {
  const [statuses] = await run(THREE_ATTEMPTS, await refusedPort());
  assert.equal(statuses, "waiting connecting waiting connecting waiting ended");
});

test("a tab that nobody listens to retries at once", { skip }, async () => {
  const script = `
    let attempts = 0;
    const tab = publish({ url, WebSocket: class extends WebSocket {
      constructor(url) {
        super(url);
        attempts += 1;
        if (attempts < 2) return;
        console.log(attempts);
        setTimeout(() => tab.close());
      }
    } });
  `;
  assert.deepEqual(await run(script, await refusedPort()), ["2"]);
});

// A server that refuses every upgrade, and asks for a credential.
async function refusing() {
  const { server, port } = await listen((request, response) => {
    request.resume();
    const body = JSON.stringify({ error: { code: "unauthorized", message: "authentication is required" } });
    const known = request.method === "POST" && request.url.startsWith("/slop/renew?token=t");
    response.writeHead(known ? 401 : 404, { "content-type": "application/json" }).end(body);
  });
  server.on("upgrade", (_, socket) => {
    // The client may be gone before it has read the response.
    socket.on("error", () => {});
    socket.end("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n");
  });
  return { server, port };
}

test("a consumer and a tab whose credential is refused end", { skip }, async () => {
  const { server, port } = await refusing();
  const script = `
    const onEnd = (end) => console.log(JSON.stringify(end));
    connect({ url, onEnd: (end) => { onEnd(end); publish({ url, onEnd }); } });
  `;
  const end = { code: 401, reason: "authentication is required", why: "unauthorized" };
  try {
    assert.deepEqual((await run(script, port)).map((line) => JSON.parse(line)), [end, end]);
  } finally {
    server.close();
  }
});
