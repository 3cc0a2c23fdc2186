// Keeps exact copies of parts of a session's state tree, calls its actions, and comes back by itself after a loss.
// One ES module without dependencies; `consumer.d.ts` is its manual. The rules are those of SLOP for consumers, with
// Grove's resume: who comes back says where its copies stand, and gets what changed instead of everything.

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
const HINT_MAX_MS = 300_000;
// A connection that lasted so long was a good one: the next loss starts with short waits again.
const STABLE_MS = 10_000;
const HELLO_MS = 15_000;
const PROBE_MS = 30_000;
const PROBE_ANSWER_MS = 10_000;
const TIMEOUT_MS = 30_000;
const MAX_REQUESTS = 1_000;
const PROBE = "probe";

// Close codes after which to come back would be wrong, or would only repeat what happened.
const FINAL = { 1000: "closed", 1008: "refused", 1009: "too_large", 4401: "expired", 4409: "replaced" };

export function connect(options = {}) {
  return new Consumer(options);
}

export class ConsumerError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "ConsumerError";
    this.code = code;
  }
}

class Consumer {
  #on;
  #timeoutMs;
  #link;
  #copies = new Map();
  #requests = new Map();
  #lastId = 0;
  #provider;
  #status = "connecting";

  constructor({ url, WebSocket, timeoutMs = TIMEOUT_MS, probeMs = PROBE_MS, onStatus, onEvent, onEnd, onError }) {
    this.#timeoutMs = timeoutMs;
    this.#on = { status: onStatus, event: onEvent, end: onEnd, error: onError ?? console.error };
    this.#link = new Link({ url: address(url), WebSocket, probeMs }, {
      greeted: (provider) => this.#greeted(provider),
      received: (message) => this.#receive(message),
      lost: () => this.#lost(),
      waiting: () => this.#become("waiting"),
      dialing: () => this.#become("connecting"),
      ended: (end) => this.#end(end),
      failed: (error) => this.#tell("error", error),
    });
    this.#link.open();
  }

  get status() {
    return this.#status;
  }

  get provider() {
    return this.#provider;
  }

  subscribe(path, options = {}, listener = undefined) {
    const copy = new Copy(this.#id("sub"), wish(path, options), (change) => {
      this.#guard(() => listener?.(copy.tree, change));
    });
    if (this.#status === "ended") {
      copy.fail(ended());
    } else {
      this.#copies.set(copy.id, copy);
      if (this.#status === "open") this.#ask(copy);
    }
    return new Subscription(copy, () => this.#forget(copy, new ConsumerError("closed", "the subscription was closed")));
  }

  query(path, options = {}, { timeoutMs = this.#timeoutMs } = {}) {
    return this.#request("query", wish(path, options), timeoutMs);
  }

  invoke(path, action, params = {}, { timeoutMs = this.#timeoutMs } = {}) {
    return this.#request("invoke", { path, action, params }, timeoutMs);
  }

  close() {
    if (this.#status === "ended") return;
    this.#link.close();
    this.#end({ code: 1000, reason: "", why: "closed" });
  }

  // ---------------------------------------------------------------------------------------------- the connection

  #greeted(provider) {
    const before = this.#provider;
    this.#provider = provider;
    const knows = provider.capabilities?.includes?.("resume") && typeof provider.epoch === "string";
    const position = knows && before?.epoch === provider.epoch && {
      epoch: provider.epoch,
      connection: before.connection,
    };
    this.#become("open");
    for (const copy of this.#copies.values()) this.#ask(copy, position);
    for (const request of this.#requests.values()) this.#send(request);
  }

  #lost() {
    for (const copy of this.#copies.values()) copy.lost();
    for (const [id, { sent }] of this.#requests) {
      if (sent) this.#settle(id, ({ reject }) => reject(lost()));
    }
  }

  #end(end) {
    this.#become("ended");
    for (const id of this.#requests.keys()) this.#settle(id, ({ reject }) => reject(ended()));
    for (const copy of this.#copies.values()) copy.fail(ended());
    this.#copies.clear();
    this.#tell("end", end);
  }

  #become(status) {
    if (this.#status === status) return;
    this.#status = status;
    this.#tell("status", status);
  }

  #receive(message) {
    switch (message.type) {
      case "snapshot":
        return this.#snapshot(message);
      case "resumed":
        return this.#copies.get(message.id)?.resumed(message);
      case "patch":
        return this.#patch(message);
      case "result":
        return this.#settle(message.id, (request) => answer(request, message));
      case "error":
        return this.#refused(message);
      case "event":
        return this.#event(message);
      case "batch":
        for (const one of message.messages ?? []) if (isObject(one)) this.#receive(one);
    }
  }

  #event({ name, data }) {
    if (name === "server.draining") this.#link.hint(data?.retry_in_ms);
    this.#tell("event", name, data);
  }

  // ---------------------------------------------------------------------------------------------- copies

  #ask(copy, position) {
    this.#link.send({ type: "subscribe", id: copy.id, ...copy.ask(position) });
  }

  #snapshot(message) {
    const copy = this.#copies.get(message.id);
    if (copy) copy.snapshot(message);
    else this.#settle(message.id, ({ resolve }) => resolve(message.tree));
  }

  #patch(message) {
    const copy = this.#copies.get(message.subscription);
    if (!copy || copy.patch(message)) return;
    this.#link.send({ type: "unsubscribe", id: copy.id });
    this.#askAgain(copy);
  }

  // A copy that is out of step again and again, or that the server has no room for, is not asked for without a pause.
  #askAgain(copy) {
    copy.later(() => {
      if (this.#status === "open") this.#ask(copy);
    });
  }

  #refused({ id, error }) {
    const fault = new ConsumerError(error?.code ?? "internal", error?.message ?? "the server refused a message");
    const copy = this.#copies.get(id);
    if (!copy) {
      if (!this.#settle(id, ({ reject }) => reject(fault))) this.#tell("error", fault);
      return;
    }
    if (fault.code === "busy") return this.#askAgain(copy);
    if (!copy.gone(fault)) return this.#forget(copy, fault);
    if (copy.isUnasked) this.#askAgain(copy);
  }

  #forget(copy, why) {
    if (!this.#copies.delete(copy.id)) return;
    this.#link.send({ type: "unsubscribe", id: copy.id });
    copy.fail(why);
  }

  // ---------------------------------------------------------------------------------------------- requests

  #id(prefix) {
    this.#lastId += 1;
    return `${prefix}-${this.#lastId}`;
  }

  #request(type, fields, timeoutMs) {
    return new Promise((resolve, reject) => {
      if (this.#status === "ended") return reject(ended());
      if (this.#requests.size >= MAX_REQUESTS) return reject(new ConsumerError("busy", "too many requests are waiting"));
      const id = this.#id(type === "query" ? "q" : "inv");
      const late = () => this.#settle(id, () => reject(new ConsumerError("timeout", `no answer within ${timeoutMs} ms`)));
      const request = { message: { type, id, ...fields }, resolve, reject, sent: false, timer: setTimeout(late, timeoutMs) };
      this.#requests.set(id, request);
      if (this.#status === "open") this.#send(request);
    });
  }

  #send(request) {
    request.sent = true;
    this.#link.send(request.message);
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

  #tell(what, ...news) {
    this.#guard(() => this.#on[what]?.(...news));
  }

  // What a listener throws is no reason to lose a message.
  #guard(call) {
    try {
      call();
    } catch (error) {
      try {
        this.#on.error(error);
      } catch (worse) {
        console.error(worse);
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

function lost() {
  return new ConsumerError("lost", "the connection was lost before an answer came; it may have been done all the same");
}

function ended() {
  return new ConsumerError("closed", "the consumer has ended");
}

function answer({ resolve, reject }, { status, data, error }) {
  if (status === "ok" || status === "accepted") return resolve({ status, data });
  reject(new ConsumerError(error?.code ?? "internal", error?.message ?? "the action failed"));
}

// The fields of a subscription or query on the wire.
function wish(path, { depth, maxNodes, filter, window }) {
  const { types, minSalience } = filter ?? {};
  const given = { path, depth, max_nodes: maxNodes, filter: filter && { types, min_salience: minSalience }, window };
  return JSON.parse(JSON.stringify(given));
}

// ------------------------------------------------------------------------------------------------ the socket

// Keeps one connection for as long as it is wanted.
class Link {
  #url;
  #WebSocket;
  #probeMs;
  #events;
  #socket;
  #greeted = false;
  #tries = 0;
  #hint;
  #retry;
  #patience;
  #stable;

  constructor({ url, WebSocket, probeMs }, events) {
    this.#url = url;
    this.#WebSocket = WebSocket ?? globalThis.WebSocket;
    this.#probeMs = probeMs;
    this.#events = events;
    this.#listen("addEventListener");
  }

  open() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#events.dialing();
    let socket;
    try {
      socket = new this.#WebSocket(this.#url);
    } catch (error) {
      this.#events.failed(error);
      return this.#come();
    }
    this.#socket = socket;
    this.#wait(HELLO_MS, () => this.#abandon("the server did not greet"));
    socket.onmessage = ({ data }) => this.#heard(data);
    socket.onclose = (event) => this.#closed(event ?? {});
    // What went wrong is not told here; `close` follows.
    socket.onerror = () => {};
  }

  send(message) {
    if (this.#greeted && this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  // The server goes away and says after which time to come back.
  hint(ms) {
    if (typeof ms === "number" && ms >= 0) this.#hint = Math.min(ms, HINT_MAX_MS);
  }

  close() {
    this.#listen("removeEventListener");
    this.#leave();
    clearTimeout(this.#retry);
    this.#retry = undefined;
  }

  #heard(text) {
    if (this.#greeted) this.#watch();
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#events.failed(new ConsumerError("bad_message", "the server sent something other than JSON"));
    }
    if (!isObject(message) || message.id === PROBE) return;
    if (message.type !== "hello") {
      if (this.#greeted) this.#events.received(message);
    } else if (!this.#greeted) {
      this.#greet(message.provider ?? {});
    }
  }

  #greet(provider) {
    this.#greeted = true;
    this.#stable = setTimeout(() => { this.#tries = 0; }, STABLE_MS);
    this.#watch();
    this.#events.greeted(provider);
  }

  // A socket can be dead without a word. After a silence the server is asked something small.
  #watch() {
    this.#wait(this.#probeMs, () => this.#probe());
  }

  #probe() {
    this.send({ type: "query", id: PROBE, path: "/", depth: 0 });
    this.#wait(PROBE_ANSWER_MS, () => this.#abandon("the server did not answer"));
  }

  #wait(ms, then) {
    clearTimeout(this.#patience);
    this.#patience = ms > 0 ? setTimeout(then, ms) : undefined;
  }

  #abandon(reason) {
    this.#leave();
    this.#closed({ code: 1006, reason });
  }

  #leave() {
    const socket = this.#socket;
    this.#reset();
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }

  #reset() {
    this.#socket = undefined;
    this.#greeted = false;
    clearTimeout(this.#patience);
    clearTimeout(this.#stable);
  }

  #closed({ code, reason = "" }) {
    this.#reset();
    this.#events.lost();
    const why = FINAL[code];
    if (!why) return this.#come();
    this.close();
    this.#events.ended({ code, reason, why });
  }

  // Comes back after a while. Anywhere in that while, so that not all consumers of a server come at once.
  #come() {
    const hint = this.#hint;
    this.#hint = undefined;
    const ms = hint === undefined ? jitter(this.#tries) : hint + Math.random() * RETRY_MS;
    this.#tries += 1;
    this.#retry = setTimeout(() => this.open(), ms);
    this.#events.waiting();
  }

  // The network is back, or the person: now is a good time to look.
  #hurry = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#retry !== undefined) this.open();
    else if (this.#greeted) this.#probe();
  };

  #listen(method) {
    globalThis[method]?.("online", this.#hurry);
    globalThis.document?.[method]?.("visibilitychange", this.#hurry);
  }
}

function jitter(tries) {
  return Math.random() * Math.min(RETRY_MS * 2 ** tries, RETRY_MAX_MS);
}

function address(url = "/slop") {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace("http", "ws");
  full.hash = "";
  return full.href;
}

// ------------------------------------------------------------------------------------------------ a copy

// What one subscription shows, as the server last said it.
class Copy {
  tree;
  version;
  ready;
  #wish;
  #changed;
  #settle;
  #seq = 0;
  // Whether the server is to answer, goes on with patches, or knows nothing of it.
  #state = "unasked";
  // Whether the tree is just what the server sent up to `version`, so that it can go on from there.
  #exact = false;
  #wasReady = false;
  #faults = 0;
  #timer;

  constructor(id, wish, changed) {
    this.id = id;
    this.#wish = wish;
    this.#changed = changed;
    this.ready = new Promise((resolve, reject) => { this.#settle = { resolve, reject }; });
    // Who does not wait for it need not know that it failed.
    this.ready.catch(() => {});
  }

  get isUnasked() {
    return this.#state === "unasked";
  }

  // The fields of its message; with the position of the copy, if there is one to go on from.
  ask(position) {
    clearTimeout(this.#timer);
    this.#state = "asked";
    if (!position || !this.#exact) return this.#wish;
    return { ...this.#wish, resume: { ...position, version: this.version } };
  }

  later(ask) {
    clearTimeout(this.#timer);
    this.#state = "unasked";
    this.#faults += 1;
    if (this.#faults === 1) return ask();
    this.#timer = setTimeout(ask, jitter(this.#faults - 2));
  }

  snapshot({ tree, version }) {
    Object.assign(this, { tree, version });
    this.#goesOn();
    this.#wasReady = true;
    this.#settle.resolve(tree);
    this.#changed({ kind: "snapshot" });
  }

  resumed() {
    if (this.#state !== "asked") return;
    this.#goesOn();
    this.#changed({ kind: "resumed" });
  }

  #goesOn() {
    [this.#seq, this.#state, this.#exact] = [0, "live", true];
  }

  // False if the copy is out of step: then it has to be asked for anew.
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
    this.#faults = 0;
    this.#changed({ kind: "patch", ops });
    return true;
  }

  #outOfStep() {
    this.#exact = false;
    return false;
  }

  // There is nothing to show, until a snapshot comes. False if there never was.
  gone(error) {
    // A path that vanishes stays subscribed; one that is not there when it is asked for does not.
    if (this.#state === "asked") this.#state = "unasked";
    this.#exact = false;
    if (!this.#wasReady) return false;
    this.tree = undefined;
    this.#changed({ kind: "gone", error });
    return true;
  }

  lost() {
    clearTimeout(this.#timer);
    this.#state = "unasked";
  }

  fail(error) {
    this.lost();
    this.#settle.reject(error);
  }
}

// ------------------------------------------------------------------------------------------------ operations

const FIELDS = ["properties", "children", "affordances", "meta", "content_ref"];

// The tree after a patch. What did not change is the same object as before; nothing is changed in place.
export function patched(tree, ops) {
  return ops.reduce((node, { op, path, value, index }) => {
    if (!["add", "remove", "replace", "move"].includes(op)) return node;
    const segments = path === "/" ? [] : path.split("/").slice(1);
    return atNode(node, segments, { op, value, index });
  }, tree);
}

function misfit(what) {
  return new ConsumerError("out_of_step", what);
}

function atNode(node, segments, operation) {
  if (!isObject(node)) throw misfit("an operation leads to what is no node");
  if (segments.length === 0) {
    if (operation.op !== "replace" || !isObject(operation.value)) throw misfit("the root can only be replaced");
    return operation.value;
  }
  const [first, ...rest] = segments;
  if (first === "children" && rest.length > 0) return atChild(node, rest, operation);
  if (!FIELDS.includes(first)) return atChild(node, segments, operation);
  // The first property of a node may come without the map that is to hold it.
  const owner = first === "properties" && rest.length === 1 ? { ...node, properties: node.properties ?? {} } : node;
  return inside(owner, [first, ...rest.map(unescape)], operation);
}

function atChild(node, [id, ...below], operation) {
  const children = node.children ?? [];
  const at = children.findIndex((child) => child.id === id);
  if (below.length === 0) return { ...node, children: listed(children, at, operation) };
  if (at === -1) throw misfit("there is no such child");
  return { ...node, children: replacedAt(children, at, atNode(children[at], below, operation)) };
}

function replacedAt(list, at, value) {
  return [...list.slice(0, at), value, ...list.slice(at + 1)];
}

function listed(children, at, { op, value, index }) {
  if ((op === "add") !== (at === -1)) throw misfit(op === "add" ? "the child is there already" : "there is no such child");
  if (op === "replace") return replacedAt(children, at, value);
  const others = children.filter((_, other) => other !== at);
  if (op === "remove") return others;
  // After the removal, if it moves; a place beyond the end is the end.
  others.splice(index ?? others.length, 0, op === "add" ? value : children[at]);
  return others;
}

// Below a field, names are only names.
function inside(owner, [name, ...below], operation) {
  if (Array.isArray(owner)) return insideList(owner, name, below, operation);
  const { op, value } = operation;
  if (below.length > 0) {
    const next = Object.hasOwn(owner, name) ? owner[name] : undefined;
    if (typeof next !== "object" || next === null) throw misfit("there is nothing to change in there");
    return { ...owner, [name]: inside(next, below, operation) };
  }
  if (op === "move") throw misfit("only children move");
  if (op !== "remove") return { ...owner, [name]: value };
  if (!Object.hasOwn(owner, name)) throw misfit("there is nothing to remove");
  const { [name]: _, ...others } = owner;
  return others;
}

function insideList(list, name, below, operation) {
  const { op, value } = operation;
  const at = name === "-" ? list.length : Number(name);
  const last = op === "add" && below.length === 0 ? list.length : list.length - 1;
  if (!Number.isInteger(at) || at < 0 || at > last || op === "move") throw misfit("there is no such place in a list");
  if (below.length > 0) return replacedAt(list, at, inside(list[at], below, operation));
  if (op === "replace") return replacedAt(list, at, value);
  return op === "add" ? [...list.slice(0, at), value, ...list.slice(at)] : list.filter((_, other) => other !== at);
}

function unescape(key) {
  return key.replaceAll("~1", "/").replaceAll("~0", "~");
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
