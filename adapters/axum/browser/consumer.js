// Keeps exact copies of parts of a session's state tree, invokes actions on it, and reconnects when the connection is
// lost. One ES module without dependencies; `consumer.d.ts` documents it. It follows SLOP's rules for consumers, and
// Grove's extension for resuming: when it reconnects it says which version each copy has, and receives only the changes
// since then.

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
const RETRY_HINT_MAX_MS = 300_000;
// A connection that lasted this long was stable: after its loss, the retry delays start from the beginning.
const STABLE_MS = 10_000;
const HELLO_TIMEOUT_MS = 15_000;
const PROBE_INTERVAL_MS = 30_000;
const PROBE_TIMEOUT_MS = 10_000;
// After an error on an open socket, `close` should follow at once; some runtimes never send it.
const CLOSE_TIMEOUT_MS = 1_000;
const CREDENTIAL_CHECK_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const MAX_REQUESTS = 1_000;
// The defaults of the server: how large a message it accepts, in bytes of UTF-8, and how deeply nested.
const MAX_MESSAGE_BYTES = 65_536;
const MAX_NESTING = 127;
const PROBE_ID = "probe";
// How many events of a room wait for whoever reads them, and how many ids are remembered to recognise copies.
const MAX_WAITING_EVENTS = 1_000;
const MAX_EVENT_IDS = 1_000;

// With which code a connection is closed that will be replaced. The server must not take that for a goodbye, as 1000 and
// 1001 are: the session would leave its rooms.
const RETURNING = 4000;

// Close codes after which reconnecting would be wrong or would end the same way.
const FINAL_CODES = { 1000: "closed", 1008: "refused", 1009: "too_large", 4401: "expired", 4409: "replaced" };

export function connect(options = {}) {
  return new Consumer(options);
}

export class ConsumerError extends Error {
  constructor(code, message, options = undefined) {
    super(message, options);
    this.name = "ConsumerError";
    this.code = code;
  }
}

class Consumer {
  #listeners;
  #timeoutMs;
  #maxMessageBytes;
  #connection;
  #copies = new Map();
  #requests = new Map();
  #feeds = new Set();
  #lastId = 0;
  #provider;
  #status = "connecting";

  constructor(options) {
    const { timeoutMs = REQUEST_TIMEOUT_MS, maxMessageBytes = MAX_MESSAGE_BYTES } = options;
    const { onStatus, onEvent, onEnd, onError = console.error } = options;
    this.#timeoutMs = timeoutMs;
    this.#maxMessageBytes = maxMessageBytes;
    this.#listeners = { status: onStatus, event: onEvent, end: onEnd, error: onError };
    this.#connection = new Connection(options, {
      greeted: (provider) => this.#greeted(provider),
      received: (message) => this.#receive(message),
      lost: () => this.#lost(),
      waiting: () => this.#setStatus("waiting"),
      connecting: () => this.#setStatus("connecting"),
      ended: (end) => this.#end(end),
      failed: (error) => this.#notify("error", error),
    });
    this.#connection.open();
  }

  get status() {
    return this.#status;
  }

  get provider() {
    return this.#provider;
  }

  subscribe(path, options = {}, listener = undefined) {
    const copy = new Copy(this.#nextId("sub"), (change) => this.#guard(() => listener?.(copy.tree, change)));
    try {
      if (this.#status === "ended") throw endedError();
      const request = { type: "subscribe", id: copy.id, ...viewFields(path, options) };
      copy.request = JSON.parse(encode(request, this.#maxMessageBytes));
      this.#copies.set(copy.id, copy);
      if (this.#status === "open") this.#subscribe(copy);
    } catch (error) {
      copy.fail(error);
    }
    return new Subscription(copy, () => this.#drop(copy, new ConsumerError("closed", "the subscription was closed")));
  }

  async query(path, options = {}, { timeoutMs = this.#timeoutMs } = {}) {
    return this.#request("query", viewFields(path, options), timeoutMs);
  }

  async invoke(path, action, params = {}, { timeoutMs = this.#timeoutMs } = {}) {
    return this.#request("invoke", { path, action, params }, timeoutMs);
  }

  // The subscription is what joins the room, and joins it again after a reconnect.
  events(room, { maxWaiting = MAX_WAITING_EVENTS } = {}) {
    const feed = new RoomFeed(room, maxWaiting, () => {
      this.#feeds.delete(feed);
      subscription.close();
    });
    this.#feeds.add(feed);
    const subscription = this.subscribe(`/rooms/${room}`, { depth: 0 }, (_, change) => {
      if (change.kind === "gone") feed.end(change.error);
    });
    subscription.ready.catch((error) => feed.end(error));
    return feed;
  }

  close() {
    if (this.#status === "ended") return;
    this.#connection.close();
    this.#end({ code: 1000, reason: "", why: "closed" });
  }

  // ---------------------------------------------------------------------------------------------- the connection

  #greeted(provider) {
    const previous = this.#provider;
    this.#provider = provider;
    const canResume = provider.capabilities?.includes?.("resume") && typeof provider.epoch === "string";
    const origin = canResume && previous?.epoch === provider.epoch && {
      epoch: provider.epoch,
      connection: previous.connection,
    };
    this.#setStatus("open");
    for (const copy of this.#copies.values()) this.#subscribe(copy, origin);
    for (const request of this.#requests.values()) this.#send(request);
  }

  #lost() {
    for (const copy of this.#copies.values()) copy.lost();
    for (const [id, { sent }] of this.#requests) {
      if (sent) this.#settle(id, ({ reject }) => reject(lostError()));
    }
  }

  #end(end) {
    this.#setStatus("ended");
    for (const id of this.#requests.keys()) this.#settle(id, ({ reject }) => reject(endedError()));
    for (const feed of this.#feeds) feed.end(end.why === "closed" ? undefined : endedError());
    for (const copy of this.#copies.values()) copy.fail(endedError());
    this.#copies.clear();
    this.#notify("end", end);
  }

  #setStatus(status) {
    if (this.#status === status) return;
    this.#status = status;
    this.#notify("status", status);
  }

  #receive(message) {
    switch (message.type) {
      case "snapshot":
        return this.#snapshot(message);
      case "resumed":
        return this.#copies.get(message.id)?.resumed();
      case "patch":
        return this.#patch(message);
      case "result":
        return this.#settle(message.id, (request) => settleInvoke(request, message));
      case "error":
        return this.#error(message);
      case "event":
        return this.#event(message);
      case "batch":
        for (const inner of message.messages ?? []) if (isObject(inner)) this.#receive(inner);
    }
  }

  #event({ name, data }) {
    if (name === "server.draining") this.#connection.retryAfter(data?.retry_in_ms);
    for (const feed of this.#feeds) feed.offer(data);
    this.#notify("event", name, data);
  }

  // ---------------------------------------------------------------------------------------------- copies

  #subscribe(copy, origin) {
    const resuming = toJson({ ...copy.request, resume: copy.subscribing(origin) });
    // The request alone fits; if it does not fit together with the resume point, a snapshot will do.
    this.#connection.send(byteLength(resuming) <= this.#maxMessageBytes ? resuming : toJson(copy.request));
  }

  #snapshot(message) {
    const copy = this.#copies.get(message.id);
    if (copy) copy.snapshot(message);
    else this.#settle(message.id, ({ resolve }) => resolve(message.tree));
  }

  #patch(message) {
    const copy = this.#copies.get(message.subscription);
    if (!copy || copy.patch(message)) return;
    this.#unsubscribe(copy);
    this.#resubscribe(copy);
  }

  // A copy that keeps getting out of step, or that the server has no capacity for, is requested again with backoff.
  #resubscribe(copy) {
    copy.retry(() => {
      if (this.#status === "open") this.#subscribe(copy);
    });
  }

  #unsubscribe(copy) {
    this.#connection.send(toJson({ type: "unsubscribe", id: copy.id }));
  }

  #error({ id, error }) {
    const failure = serverError(error, "the server refused a message");
    const copy = this.#copies.get(id);
    if (!copy) {
      if (!this.#settle(id, ({ reject }) => reject(failure))) this.#notify("error", failure);
      return;
    }
    if (failure.code === "busy") return this.#resubscribe(copy);
    if (!copy.gone(failure)) return this.#drop(copy, failure);
    if (copy.isIdle) this.#resubscribe(copy);
  }

  #drop(copy, error) {
    if (!this.#copies.delete(copy.id)) return;
    this.#unsubscribe(copy);
    copy.fail(error);
  }

  // ---------------------------------------------------------------------------------------------- requests

  #nextId(prefix) {
    this.#lastId += 1;
    return `${prefix}-${this.#lastId}`;
  }

  #request(type, fields, timeoutMs) {
    return new Promise((resolve, reject) => {
      if (this.#status === "ended") throw endedError();
      if (this.#requests.size >= MAX_REQUESTS) throw new ConsumerError("busy", "too many requests are waiting");
      const id = this.#nextId(type === "query" ? "q" : "inv");
      // Encoded now and not when it is sent, so that what is wrong with it fails this call and no other.
      const code = type === "query" ? "bad_request" : "invalid_params";
      const text = encode({ type, id, ...fields }, this.#maxMessageBytes, code);
      const expired = new ConsumerError("timeout", `no response within ${timeoutMs} ms`);
      const timer = setTimeout(() => this.#settle(id, () => reject(expired)), timeoutMs);
      const request = { text, resolve, reject, timer, sent: false };
      this.#requests.set(id, request);
      if (this.#status === "open") this.#send(request);
    });
  }

  #send(request) {
    request.sent = true;
    this.#connection.send(request.text);
  }

  #settle(id, settle) {
    const request = this.#requests.get(id);
    if (!request) return false;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    settle(request);
    return true;
  }

  // ---------------------------------------------------------------------------------------------- listeners

  #notify(listener, ...args) {
    this.#guard(() => this.#listeners[listener]?.(...args));
  }

  // An exception in a listener must not cost a message.
  #guard(call) {
    try {
      call();
    } catch (error) {
      try {
        this.#listeners.error(error);
      } catch (second) {
        console.error(second);
      }
    }
  }
}

class Subscription {
  #copy;
  #close;

  constructor(copy, close) {
    this.#copy = copy;
    this.#close = close;
  }

  get tree() {
    return this.#copy.tree;
  }

  get version() {
    return this.#copy.version;
  }

  get ready() {
    return this.#copy.ready;
  }

  close() {
    this.#close();
  }
}

// The events of one room: an async iterator.
class RoomFeed {
  #room;
  #maxWaiting;
  #close;
  #waiting = [];
  // In place of the oldest events, which had to be dropped.
  #dropped;
  #readers = [];
  // Once nothing follows: how that came, `{}` or `{ error }`.
  #end;
  #epoch;
  // The number up to which everything was told or is known to be missing; absent before the first event.
  #seq;
  #ids = new Set();

  constructor(room, maxWaiting, close) {
    this.#room = room;
    this.#maxWaiting = Math.max(1, maxWaiting);
    this.#close = close;
  }

  offer(event) {
    if (this.#end || event?.room !== this.#room || typeof event.epoch !== "string") return;
    if (event.kind === "heartbeat" || this.#isCopy(event)) return;
    for (const told of this.#continued(event)) this.#push(told);
    if (event.kind === "room.ended") this.end();
  }

  // Nothing follows. What waits can still be read, and then the error, if there is one.
  end(error) {
    if (this.#end) return;
    this.#end = { error };
    this.#close();
    for (const reader of this.#readers.splice(0)) this.next().then(reader.resolve, reader.reject);
  }

  next() {
    const value = this.#take();
    if (value) return Promise.resolve({ value, done: false });
    if (!this.#end) return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
    const { error } = this.#end;
    this.#end = {};
    return error ? Promise.reject(error) : Promise.resolve({ value: undefined, done: true });
  }

  return(value) {
    [this.#waiting, this.#dropped] = [[], undefined];
    this.end();
    this.#end = {};
    return Promise.resolve({ value, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #isCopy({ id }) {
    if (this.#ids.has(id)) return true;
    this.#ids.add(id);
    if (this.#ids.size > MAX_EVENT_IDS) this.#ids.delete(this.#ids.values().next().value);
    return false;
  }

  // The event, unless it was told already, and before it a gap if others are missing.
  #continued(event) {
    if (event.epoch !== this.#epoch) {
      // Of a room that lost its history, the events are counted from 1 again.
      this.#seq = this.#epoch === undefined ? undefined : 0;
      this.#epoch = event.epoch;
    }
    const numbers = numbersOf(event);
    if (!numbers) return [event];
    const known = this.#seq;
    if (known !== undefined && numbers.to_seq <= known) return [];
    this.#seq = numbers.to_seq;
    if (known === undefined || numbers.from_seq <= known + 1) return [event];
    if (event.kind === "room.gap") return [gap(event, { ...numbers, from_seq: known + 1 })];
    return [gap(event, { from_seq: known + 1, to_seq: numbers.from_seq - 1 }), event];
  }

  #push(event) {
    this.#waiting.push(event);
    while (this.#waiting.length > this.#maxWaiting) this.#drop(this.#waiting.shift());
    const reader = this.#readers.shift();
    if (reader) this.next().then(reader.resolve, reader.reject);
  }

  #drop(event) {
    const numbers = numbersOf(event);
    if (!numbers) return;
    const before = this.#dropped?.epoch === event.epoch ? this.#dropped.body : numbers;
    this.#dropped = gap(event, { from_seq: before.from_seq, to_seq: numbers.to_seq });
  }

  #take() {
    const dropped = this.#dropped;
    this.#dropped = undefined;
    return dropped ?? this.#waiting.shift();
  }
}

// The first and the last number for which an event stands; a message for one participant has none.
function numbersOf({ kind, seq, from_seq, body }) {
  if (kind === "room.gap") return Number.isInteger(body?.to_seq) ? body : undefined;
  return Number.isInteger(seq) ? { from_seq: from_seq ?? seq, to_seq: seq } : undefined;
}

// A gap before or at an event.
function gap({ room, project, epoch, at }, { from_seq, to_seq }) {
  const id = `gap-${epoch}-${from_seq}-${to_seq}`;
  return { id, room, project, epoch, kind: "room.gap", at, body: { from_seq, to_seq } };
}

function lostError() {
  return new ConsumerError("lost", "the connection was lost before the response; the request may have been executed");
}

function endedError() {
  return new ConsumerError("closed", "the consumer has ended");
}

function settleInvoke({ resolve, reject }, { status, data, error }) {
  if (status === "ok" || status === "accepted") return resolve({ status, data });
  reject(serverError(error, "the action failed"));
}

function serverError(error, fallback) {
  const string = (value, fallback) => (typeof value === "string" ? value : fallback);
  return new ConsumerError(string(error?.code, "internal"), string(error?.message, fallback));
}

// The fields of a subscription or query on the wire.
function viewFields(path, options) {
  const { depth, maxNodes, filter, window } = options ?? {};
  const { types, minSalience } = filter ?? {};
  return { path, depth, max_nodes: maxNodes, filter: filter && { types, min_salience: minSalience }, window };
}

// ------------------------------------------------------------------------------------------------ encoding

// The text of a message that the server can read. Throws a `ConsumerError` with `code` if there is none.
function encode(message, maxBytes, code = "bad_request") {
  let text;
  try {
    text = toJson(message);
  } catch (cause) {
    throw new ConsumerError(code, `the request cannot be written as JSON: ${messageOf(cause)}`, { cause });
  }
  const bytes = byteLength(text);
  if (bytes > maxBytes) {
    const message = `the request takes ${bytes} bytes, more than the ${maxBytes} of maxMessageBytes`;
    throw new ConsumerError("too_large", message);
  }
  if (nests(JSON.parse(text), MAX_NESTING)) {
    throw new ConsumerError(code, `the request is nested more than ${MAX_NESTING} levels deep`);
  }
  return text;
}

// A number that JSON cannot express is an error here: as `null` it would be another value.
function toJson(value) {
  const finite = (key, item) => {
    if (typeof item === "number" && !Number.isFinite(item)) throw new RangeError(`${key} must be a finite number`);
    return item;
  };
  return wellFormed(JSON.stringify(value, finite));
}

// Half of a surrogate pair, such as `slice` leaves of an emoji, is no Unicode, and a server may refuse the whole
// message because of it. `JSON.stringify` writes it as an escape; it becomes U+FFFD.
function wellFormed(json) {
  return json.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (escape, surrogate) => (surrogate ? "\ufffd" : escape));
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

// Whether arrays and objects are nested more than `levels` deep.
function nests(value, levels) {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => nests(inner, levels - 1));
}

// Anything can be thrown, even what cannot be made a string.
function messageOf(error) {
  try {
    return String(error?.message ?? error);
  } catch {
    return "unknown error";
  }
}

// ------------------------------------------------------------------------------------------------ the connection

// Keeps one connection open, and replaces it when it is lost.
class Connection {
  #url;
  #WebSocket;
  #fetch;
  #probeMs;
  #keepsPlace;
  #events;
  #socket;
  #greeted = false;
  #attempts = 0;
  #retryHintMs;
  #retryTimer;
  // Until when something must happen on the socket.
  #deadline;
  #stableTimer;
  #credentialCheck;
  // A listener may close the consumer in the middle of anything.
  #isClosed = false;

  constructor(options, events) {
    const { url, WebSocket = globalThis.WebSocket, fetch, probeMs = PROBE_INTERVAL_MS, keepPlace = false } = options;
    this.#url = socketUrl(url);
    this.#WebSocket = WebSocket;
    this.#fetch = fetch ?? defaultFetch(this.#url, WebSocket);
    this.#probeMs = probeMs;
    this.#keepsPlace = keepPlace;
    this.#events = events;
    this.#listen("addEventListener");
  }

  open() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#events.connecting();
    if (this.#isClosed) return;
    let socket;
    try {
      socket = new this.#WebSocket(this.#url.href);
    } catch (error) {
      this.#events.failed(error);
      return this.#scheduleRetry();
    }
    this.#socket = socket;
    this.#setDeadline(HELLO_TIMEOUT_MS, () => this.#abandon("the server did not send hello"));
    // A socket that was left may still have something to say, and one that failed may say so twice.
    const handler = (handle) => (event) => {
      if (this.#socket === socket) handle(event ?? {});
    };
    socket.onmessage = handler(({ data }) => this.#receive(data));
    socket.onclose = handler((event) => this.#closed(event));
    socket.onerror = handler(() => this.#failed());
  }

  send(text) {
    if (!this.#greeted || this.#socket?.readyState !== 1) return;
    try {
      this.#socket.send(text);
    } catch (error) {
      this.#events.failed(error);
    }
  }

  // The server is going away and says when to come back.
  retryAfter(ms) {
    if (typeof ms === "number" && ms >= 0) this.#retryHintMs = Math.min(ms, RETRY_HINT_MAX_MS);
  }

  close() {
    this.#isClosed = true;
    this.#listen("removeEventListener");
    this.#leave(1000);
    this.#cancelCredentialCheck();
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
  }

  #receive(text) {
    if (this.#greeted) this.#watch();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#events.failed(new ConsumerError("bad_message", "the server sent something other than JSON"));
    }
    if (!isObject(message) || message.id === PROBE_ID) return;
    try {
      if (message.type !== "hello") {
        if (this.#greeted) this.#events.received(message);
      } else if (!this.#greeted) {
        this.#greet(message.provider ?? {});
      }
    } catch (cause) {
      this.#events.failed(new ConsumerError("bad_message", "the server sent a malformed message", { cause }));
    }
  }

  #greet(provider) {
    this.#greeted = true;
    this.#cancelCredentialCheck();
    this.#stableTimer = setTimeout(() => { this.#attempts = 0; }, STABLE_MS);
    this.#watch();
    this.#events.greeted(provider);
  }

  // A socket can be dead without an event. After a silence, the server is asked something small.
  #watch() {
    this.#setDeadline(this.#probeMs, () => this.#probe());
  }

  #probe() {
    this.send(toJson({ type: "query", id: PROBE_ID, path: "/", depth: 0 }));
    this.#setDeadline(PROBE_TIMEOUT_MS, () => this.#abandon("the server did not respond"));
  }

  #setDeadline(ms, missed) {
    clearTimeout(this.#deadline);
    this.#deadline = ms > 0 ? setTimeout(missed, ms) : undefined;
  }

  // Some runtimes report a failed connection by `error` alone, some by `error` and `close`. Once it was open, `close`
  // is given time to come, for it says why.
  #failed() {
    const abandon = () => this.#abandon("the connection failed");
    if (this.#greeted) this.#setDeadline(CLOSE_TIMEOUT_MS, abandon);
    else abandon();
  }

  #abandon(reason) {
    const wasGreeted = this.#leave(RETURNING);
    this.#down({ code: 1006, reason }, wasGreeted);
  }

  #closed(event) {
    const wasGreeted = this.#reset();
    this.#down(event, wasGreeted);
  }

  // Handlers stay: one for `error` must be there as long as the socket, or some runtimes end the program.
  #leave(code) {
    const socket = this.#socket;
    const wasGreeted = this.#reset();
    socket?.close(code);
    return wasGreeted;
  }

  #reset() {
    const wasGreeted = this.#greeted;
    this.#socket = undefined;
    this.#greeted = false;
    clearTimeout(this.#deadline);
    clearTimeout(this.#stableTimer);
    return wasGreeted;
  }

  #down({ code, reason = "" }, wasGreeted) {
    this.#events.lost();
    const why = FINAL_CODES[code];
    if (why) return this.#end({ code, reason, why });
    this.#scheduleRetry();
    if (!wasGreeted) this.#checkCredential();
  }

  #end(end) {
    this.close();
    this.#events.ended(end);
  }

  // The delay is random, so that the consumers of a server that restarts do not all come back at once.
  #scheduleRetry() {
    if (this.#isClosed) return;
    const hintMs = this.#retryHintMs;
    this.#retryHintMs = undefined;
    const ms = hintMs === undefined ? backoff(this.#attempts) : hintMs + Math.random() * RETRY_MS;
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => this.open(), ms);
    this.#events.waiting();
  }

  // A WebSocket does not tell why it could not connect. Whether the credential is still accepted can be asked over
  // HTTP: only a clear refusal ends the consumer, everything else may be a server that is away.
  async #checkCredential() {
    const fetch = this.#fetch;
    if (!fetch || this.#credentialCheck || this.#isClosed) return;
    const check = new AbortController();
    this.#credentialCheck = check;
    const timer = setTimeout(() => check.abort(), CREDENTIAL_CHECK_TIMEOUT_MS);
    const end = await refusal(fetch, renewalUrl(this.#url), check.signal);
    clearTimeout(timer);
    if (this.#credentialCheck !== check) return;
    this.#credentialCheck = undefined;
    if (end) this.#end(end);
  }

  #cancelCredentialCheck() {
    this.#credentialCheck?.abort();
    this.#credentialCheck = undefined;
  }

  // The network is back, or the page is visible again: a good time to connect, or to see whether the socket still
  // works.
  #hurry = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#retryTimer !== undefined) this.open();
    else if (this.#greeted) this.#probe();
  };

  // The page is reloaded or left, and its browser would say goodbye to the server. If the browser keeps the page and
  // shows it again, the connection is replaced like one that was lost.
  #leavePage = () => {
    if (this.#greeted) this.#abandon("the page was left");
  };

  #listen(method) {
    globalThis[method]?.("online", this.#hurry);
    globalThis.document?.[method]?.("visibilitychange", this.#hurry);
    if (this.#keepsPlace) globalThis[method]?.("pagehide", this.#leavePage);
  }
}

function backoff(attempts) {
  return Math.random() * Math.min(RETRY_MS * 2 ** attempts, RETRY_MAX_MS);
}

function socketUrl(url = "/slop") {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace("http", "ws");
  full.hash = "";
  return full;
}

function renewalUrl(url) {
  const full = new URL(url);
  full.protocol = full.protocol.replace("ws", "http");
  full.pathname = `${full.pathname.replace(/\/+$/, "")}/renew`;
  return full.href;
}

// A `WebSocket` of the application's own may add a credential that `fetch` does not send. What the server says to
// `fetch` then means nothing, unless the credential is in the URL.
function defaultFetch(url, WebSocket) {
  return WebSocket === globalThis.WebSocket || url.searchParams.has("token") ? globalThis.fetch : undefined;
}

// Presents the credential for renewal. Returns the end that the server's refusal means; undefined if it did not refuse,
// could not be reached, or could not decide now.
async function refusal(fetch, url, signal) {
  try {
    const response = await fetch(url, {
      method: "POST", credentials: "include", redirect: "manual", cache: "no-store", signal,
    });
    const { status } = response;
    if (status !== 401 && status !== 403) return undefined;
    const error = (await response.json().catch(() => undefined))?.error;
    const reason = String(error?.message ?? "");
    if (status === 401) return { code: status, reason, why: "unauthorized" };
    // Proxies send 403 for reasons of their own, which pass.
    return error?.code === "forbidden" ? { code: status, reason, why: "forbidden" } : undefined;
  } catch {
    return undefined;
  }
}

// ------------------------------------------------------------------------------------------------ a copy

// The tree of one subscription, as the server last sent it.
class Copy {
  tree;
  version;
  ready;
  // The subscribe message, without a resume point.
  request;
  #changed;
  #settle;
  #seq = 0;
  // `idle`: the server has no such subscription. `pending`: it has not responded yet. `live`: it sends patches.
  #state = "idle";
  // Whether the tree is exactly what the server sent up to `version`, so that it can be resumed.
  #exact = false;
  #wasReady = false;
  #failures = 0;
  #timer;

  constructor(id, changed) {
    this.id = id;
    this.#changed = changed;
    this.ready = new Promise((resolve, reject) => { this.#settle = { resolve, reject }; });
    // A caller that does not await `ready` must not get an unhandled rejection.
    this.ready.catch(() => {});
  }

  get isIdle() {
    return this.#state === "idle";
  }

  // It is about to be subscribed. Returns its resume point, if it has one at the `origin` of an earlier connection.
  subscribing(origin) {
    clearTimeout(this.#timer);
    this.#state = "pending";
    return origin && this.#exact ? { ...origin, version: this.version } : undefined;
  }

  // Calls `subscribe` at once the first time, and after a delay if that keeps failing.
  retry(subscribe) {
    clearTimeout(this.#timer);
    this.#state = "idle";
    this.#failures += 1;
    if (this.#failures === 1) return subscribe();
    this.#timer = setTimeout(subscribe, backoff(this.#failures - 2));
  }

  snapshot({ tree, version }) {
    Object.assign(this, { tree, version });
    this.#live();
    this.#wasReady = true;
    this.#settle.resolve(tree);
    this.#changed({ kind: "snapshot" });
  }

  resumed() {
    if (this.#state !== "pending") return;
    this.#live();
    this.#changed({ kind: "resumed" });
  }

  #live() {
    [this.#seq, this.#state, this.#exact] = [0, "live", true];
  }

  // Returns false if the copy is out of step and must be requested again.
  patch({ seq, version, ops }) {
    if (this.#state !== "live" || !Array.isArray(ops)) return true;
    if (seq !== undefined && seq !== this.#seq + 1) return this.#outOfStep();
    let tree;
    try {
      tree = patched(this.tree, ops);
    } catch {
      return this.#outOfStep();
    }
    Object.assign(this, { tree, version });
    this.#seq += 1;
    this.#failures = 0;
    this.#changed({ kind: "patch", ops });
    return true;
  }

  #outOfStep() {
    this.#exact = false;
    return false;
  }

  // The node does not exist (any more). Returns false if it never did.
  gone(error) {
    // The server keeps a live subscription whose node vanishes, but does not start one on a node that is missing.
    if (this.#state === "pending") this.#state = "idle";
    this.#exact = false;
    if (!this.#wasReady) return false;
    this.tree = undefined;
    this.#changed({ kind: "gone", error });
    return true;
  }

  lost() {
    clearTimeout(this.#timer);
    this.#state = "idle";
  }

  fail(error) {
    this.lost();
    this.#settle.reject(error);
  }
}

// ------------------------------------------------------------------------------------------------ operations

const FIELDS = ["properties", "children", "affordances", "meta", "content_ref"];

// The tree after a patch. Nothing is changed in place; a node that the patch does not touch stays the same object.
export function patched(tree, ops) {
  return ops.reduce((node, { op, path, value, index }) => {
    if (!["add", "remove", "replace", "move"].includes(op)) return node;
    const segments = path === "/" ? [] : path.split("/").slice(1);
    return atNode(node, segments, { op, value, index });
  }, tree);
}

function outOfStep(message) {
  return new ConsumerError("out_of_step", message);
}

function atNode(node, segments, operation) {
  if (!isObject(node)) throw outOfStep("the target of an operation is not a node");
  if (segments.length === 0) {
    if (operation.op !== "replace" || !isObject(operation.value)) throw outOfStep("the root can only be replaced");
    return operation.value;
  }
  const [first, ...rest] = segments;
  if (first === "children" && rest.length > 0) return atChild(node, rest, operation);
  if (!FIELDS.includes(first)) return atChild(node, segments, operation);
  // A node without properties has no map that its first property could be added to.
  const owner = first === "properties" && rest.length === 1 ? { ...node, properties: node.properties ?? {} } : node;
  return inObject(owner, [first, ...rest.map(unescape)], operation);
}

function atChild(node, [id, ...below], operation) {
  const children = node.children ?? [];
  const at = children.findIndex((child) => child.id === id);
  if (below.length === 0) return { ...node, children: changedChildren(children, at, operation) };
  if (at === -1) throw outOfStep("there is no such child");
  return { ...node, children: replacedAt(children, at, atNode(children[at], below, operation)) };
}

function replacedAt(list, at, value) {
  return [...list.slice(0, at), value, ...list.slice(at + 1)];
}

function changedChildren(children, at, { op, value, index }) {
  if (op === "add" && at !== -1) throw outOfStep("there already is such a child");
  if (op !== "add" && at === -1) throw outOfStep("there is no such child");
  if (op === "replace") return replacedAt(children, at, value);
  const others = children.filter((_, other) => other !== at);
  if (op === "remove") return others;
  // For a move, `index` counts without the moved child. An index beyond the end means the end.
  others.splice(index ?? others.length, 0, op === "add" ? value : children[at]);
  return others;
}

// Inside a field, path segments are plain keys.
function inObject(owner, [name, ...below], operation) {
  if (Array.isArray(owner)) return inArray(owner, name, below, operation);
  const { op, value } = operation;
  if (below.length > 0) {
    const next = Object.hasOwn(owner, name) ? owner[name] : undefined;
    if (typeof next !== "object" || next === null) throw outOfStep("there is nothing to change at this path");
    return { ...owner, [name]: inObject(next, below, operation) };
  }
  if (op === "move") throw outOfStep("only children can be moved");
  if (op !== "remove") return { ...owner, [name]: value };
  if (!Object.hasOwn(owner, name)) throw outOfStep("there is nothing to remove at this path");
  const { [name]: _, ...others } = owner;
  return others;
}

function inArray(list, name, below, operation) {
  const { op, value } = operation;
  const at = name === "-" ? list.length : Number(name);
  const last = op === "add" && below.length === 0 ? list.length : list.length - 1;
  if (!Number.isInteger(at) || at < 0 || at > last || op === "move") throw outOfStep("there is no such array element");
  if (below.length > 0) return replacedAt(list, at, inObject(list[at], below, operation));
  if (op === "replace") return replacedAt(list, at, value);
  return op === "add" ? [...list.slice(0, at), value, ...list.slice(at)] : list.filter((_, other) => other !== at);
}

function unescape(key) {
  return key.replaceAll("~1", "/").replaceAll("~0", "~");
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
