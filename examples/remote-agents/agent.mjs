#!/usr/bin/env node
// An agent in one file, without dependencies: it executes runs of a Grove server's rooms.
//
//     node agent.mjs --url ws://127.0.0.1:3000/agents --token TOKEN --agent summary
//
// Write what your agent does in `execute`; the rest connects, and connects again when the connection is lost. The session of
// the token needs the permission `agent:NAME`. A run whose connection is lost is dispatched again, here or to another
// program of the same name, so what an agent does outside must be repeatable: `run.dispatch.call_id` is the same for all
// attempts.
//
// It speaks WebSocket over `node:http` itself: older versions of Node have no `WebSocket`, and that one cannot send headers.

import { randomBytes } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

// Streams the words of a text, and says how many there are. With `{"ask": true}` it waits for an input first.
async function execute(run) {
  const given = { ...run.dispatch.input };
  if (given.ask) {
    run.chunk("which text? ");
    given.text = String(await run.nextInput());
  }
  const words = String(given.text ?? "").split(/\s+/).filter(Boolean);
  for (const [at, word] of words.entries()) {
    run.chunk(word + " ");
    run.progress((at + 1) / words.length, `${at + 1} of ${words.length} words`);
    await sleep(given.pause_ms ?? 0, undefined, { signal: run.cancelled });
  }
  return { words: words.length, attempt: run.dispatch.attempt, process: process.pid, memory: run.dispatch.memory };
}

// Throw it to fail a run. `retryable` says that trying again may help.
class RunError extends Error {
  constructor(code, message, retryable = false) {
    super(message);
    Object.assign(this, { code, kind: retryable ? "retryable" : "permanent" });
  }
}

// What an agent holds while it runs. Whatever it says is a sign of life.
class Run {
  #send;
  #controller = new AbortController();
  #inputs = [];
  #waiting = [];

  constructor(send, dispatch) {
    this.#send = send;
    this.dispatch = dispatch;
    // An AbortSignal: somebody has cancelled the run, or this attempt counts no more.
    this.cancelled = this.#controller.signal;
  }

  say(type, more = {}) {
    this.#send({ type, run: this.dispatch.run, attempt: this.dispatch.attempt, ...more });
  }

  chunk(text) {
    this.say("chunk", { text });
  }

  progress(progress, message = "") {
    this.say("progress", { progress, message });
  }

  working() {
    this.say("working");
  }

  nextInput() {
    if (this.#inputs.length > 0) return Promise.resolve(this.#inputs.shift());
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      this.cancelled.addEventListener("abort", () => reject(this.cancelled.reason), { once: true });
    });
  }

  input(data) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(data);
    else if (this.#inputs.length < 256) this.#inputs.push(data);
  }

  cancel() {
    this.#controller.abort();
  }
}

// Executes one attempt at a run, and says what came of it.
async function attend(run) {
  run.say("ack");
  try {
    run.say("result", { output: (await execute(run)) ?? null });
  } catch (error) {
    if (run.cancelled.aborted) return run.say("result");
    if (error instanceof RunError) return run.say("error", { code: error.code, message: error.message, class: error.kind });
    // The room is told that it failed, and the log why.
    console.error(`run ${run.dispatch.run}:`, error);
    run.say("error", { code: "internal", message: "the agent failed" });
  }
}

const LARGEST = 16 << 20;

// One frame of a client (RFC 6455): its payload is masked.
function frame(opcode, payload) {
  const size = payload.length;
  const head = Buffer.alloc(size < 126 ? 2 : size < 1 << 16 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (size < 126 ? size : size < 1 << 16 ? 126 : 127);
  if (head.length === 4) head.writeUInt16BE(size, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2);
  const mask = randomBytes(4);
  const masked = Buffer.from(payload);
  for (let at = 0; at < size; at += 1) masked[at] ^= mask[at & 3];
  return Buffer.concat([head, mask, masked]);
}

// The frames of the server in what has been read so far, and what is left of that.
function* frames(state) {
  for (;;) {
    const { buffer } = state;
    if (buffer.length < 2) return;
    let [size, from] = [buffer[1] & 0x7f, 2];
    if (size === 126) {
      if (buffer.length < 4) return;
      [size, from] = [buffer.readUInt16BE(2), 4];
    } else if (size === 127) {
      if (buffer.length < 10) return;
      [size, from] = [Number(buffer.readBigUInt64BE(2)), 10];
    }
    if (size > LARGEST) throw new Error("the message is too large");
    if (buffer.length < from + size) return;
    state.buffer = buffer.subarray(from + size);
    yield { isLast: (buffer[0] & 0x80) !== 0, opcode: buffer[0] & 0x0f, payload: buffer.subarray(from, from + size) };
  }
}

// Connects. Returns the socket, and what came with the response.
function connect(url, token) {
  const target = url.replace(/^ws/, "http");
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
    authorization: `Bearer ${token}`,
  };
  return new Promise((resolve, reject) => {
    const request = (target.startsWith("https:") ? https : http).request(target, { headers });
    request.on("upgrade", (_, socket, first) => resolve({ socket, first }));
    request.on("response", ({ statusCode }) => reject(Object.assign(new Error(`status ${statusCode}`), { statusCode })));
    request.on("error", reject);
    request.end();
  });
}

// Takes what the server says, until the connection ends.
function serve({ socket, first }, agent, concurrency, welcome) {
  const runs = new Map();
  const send = (message) => socket.write(frame(0x1, Buffer.from(JSON.stringify(message))));
  const take = (message) => {
    const about = `${message.run} ${message.attempt}`;
    if (message.type === "welcome") {
      welcome();
      console.log(`ready as ${agent}`);
    }
    if (message.type === "dispatch") {
      const run = new Run(send, message);
      runs.set(about, run);
      attend(run).finally(() => runs.delete(about));
    }
    if (message.type === "cancel") runs.get(about)?.cancel();
    if (message.type === "input") runs.get(about)?.input(message.data);
    if (message.type === "error" && ["unauthorized", "invalid_params"].includes(message.code)) {
      console.error(`the server does not take this program: ${message.message}`);
      process.exit(1);
    }
  };
  return new Promise((resolve, reject) => {
    const state = { buffer: Buffer.alloc(0) };
    let parts = [];
    const read = (data) => {
      state.buffer = Buffer.concat([state.buffer, data]);
      for (const { isLast, opcode, payload } of frames(state)) {
        if (opcode === 0x8) socket.end(frame(0x8, payload.subarray(0, 2)));
        else if (opcode === 0x9) socket.write(frame(0xa, payload));
        else if (opcode !== 0xa) {
          parts.push(payload);
          if (isLast) [parts] = [[], take(JSON.parse(Buffer.concat(parts).toString()))];
        }
      }
    };
    socket.on("data", (data) => {
      try {
        read(data);
      } catch (error) {
        socket.destroy(error);
      }
    });
    socket.on("error", reject);
    socket.on("close", resolve);
    send({ type: "ready", agent, concurrency });
    if (first.length > 0) socket.emit("data", first);
  }).finally(() => runs.forEach((run) => run.cancel()));
}

const { values: options } = parseArgs({
  options: {
    url: { type: "string", default: "ws://127.0.0.1:3000/agents" },
    token: { type: "string", default: process.env.TOKEN ?? "" },
    agent: { type: "string", default: "summary" },
    concurrency: { type: "string", default: "4" },
  },
});
for (let failures = 1; ; failures += 1) {
  try {
    const connected = await connect(options.url, options.token);
    await serve(connected, options.agent, Number(options.concurrency), () => (failures = 0));
  } catch (error) {
    if ([401, 403, 404].includes(error.statusCode)) {
      console.error(`the server refused the connection with ${error.message}`);
      process.exit(1);
    }
    console.error(`the connection is lost: ${error.message}`);
  }
  await sleep(Math.min(100 * 2 ** Math.min(failures, 16), 30_000) * (0.5 + Math.random() / 2));
}
