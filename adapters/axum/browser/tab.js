// Publishes nodes and actions of a page in the state tree of its session, where they appear below `/ui/tab-N`. One ES
// module without dependencies; `tab.d.ts` documents it. It follows SLOP's rules for browser providers: send nothing
// before `connect`, send patches before the result, and send nothing that belongs to an old socket on a new one.

const CAPABILITIES = ["state", "patches", "affordances", "attention", "async", "content_refs"];

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
const CONNECT_TIMEOUT_MS = 15_000;
// After an error on an open socket, `close` should follow at once; some runtimes never send it.
const CLOSE_TIMEOUT_MS = 1_000;
const CREDENTIAL_CHECK_TIMEOUT_MS = 10_000;
const BUSY_MS = 1_000;
const TASK_RETENTION_MS = 60_000;
const TASK_ERROR_CHARACTERS = 1_000;
// The defaults of the server: how large a message it accepts from a tab, in bytes of UTF-8, and how deeply nested.
const MAX_MESSAGE_BYTES = 262_144;
const MAX_NESTING = 127;
// Bounds of a single node, so that one that is set wrongly does not keep the others from being sent.
const MAX_NODE_NESTING = 64;
const MAX_PATH_SEGMENTS = 64;

// With which code a connection is closed that will be replaced. The server must not take that for a goodbye, as 1000 and
// 1001 are: the session would leave its rooms.
const RETURNING = 4000;

// Close codes that blame the tab for what it sent: reconnecting at once would only repeat it.
const BLAMING_CODES = [1008, 1009];

export function publish(options = {}) {
  return new Tab(options);
}

// It exists only for its types.
export function action(spec) {
  return spec;
}

class Tab {
  #id;
  #name;
  #onError;
  #onEnd;
  #maxMessageBytes;
  #connection;
  #nodes = new Map();
  #tree;
  #version = 0;
  #changed = false;
  #greeted = false;
  #resendPending = false;
  #subscriptions = new Map();
  #lastTask = 0;

  constructor(options) {
    const { id = "ui", name, onRefresh, onError = console.error, onEnd } = options;
    const { maxMessageBytes = MAX_MESSAGE_BYTES } = options;
    this.#id = id;
    this.#name = name ?? (globalThis.document?.title || id);
    this.#onError = onError;
    this.#onEnd = onEnd;
    this.#maxMessageBytes = maxMessageBytes;
    this.#tree = buildTree(this.#id, this.#name, this.#nodes);
    if (onRefresh) {
      const description = "Fetches what the page shows again";
      const handler = async () => void (await onRefresh());
      this.set("__adapter", { type: "context", actions: { refresh: { description, handler } } });
    }
    this.#connection = new Connection({ ...options, maxMessageBytes }, {
      received: (text) => this.#guard(() => this.#receive(text)),
      lost: () => this.#lost(),
      failed: (error) => this.#fail(error),
      ended: (end) => this.#ended(end),
    });
    this.#connection.open();
  }

  set(path, descriptor) {
    this.#guard(() => this.#put(path, descriptor));
  }

  remove(path) {
    this.#guard(() => {
      if (this.#nodes.delete(split(path).join("/"))) this.#scheduleFlush();
    });
  }

  close() {
    this.#connection.close();
  }

  #put(path, descriptor) {
    const segments = split(path);
    segments.forEach(checkId);
    if (segments.length > MAX_PATH_SEGMENTS) throw new TypeError(`a path has at most ${MAX_PATH_SEGMENTS} segments`);
    const node = describe(segments.at(-1) ?? this.#id, descriptor);
    const own = project(node, -1);
    const unsendable = whyUnsendable(own, toJson(own), this.#maxMessageBytes, MAX_NODE_NESTING);
    if (unsendable) throw new RangeError(`the node ${JSON.stringify(path)} cannot be published: ${unsendable}`);
    this.#nodes.set(segments.join("/"), node);
    this.#scheduleFlush();
  }

  #scheduleFlush() {
    if (this.#changed) return;
    this.#changed = true;
    queueMicrotask(() => this.#guard(() => this.#flush()));
  }

  // Sends each subscription what has changed since the last time.
  #flush() {
    if (!this.#changed) return;
    this.#changed = false;
    this.#tree = buildTree(this.#id, this.#name, this.#nodes);
    this.#version += 1;
    for (const subscription of this.#subscriptions.values()) this.#update(subscription);
  }

  #update(subscription) {
    const { id, path, depth, sent } = subscription;
    const node = find(this.#tree, path);
    if (!node) {
      subscription.sent = undefined;
      if (sent) this.#sendError(id, "not_found", "there is no such path");
      return;
    }
    const tree = project(node, depth);
    // The server closes the connection of a tab whose tree is too large, even if each patch is small.
    const unsendable = whyUnsendable(tree, toJson(tree), this.#maxMessageBytes, MAX_NESTING);
    if (unsendable) return this.#holdBack(subscription, unsendable);
    if (!sent || !sameKind(sent, tree)) return this.#sendSnapshot(subscription, tree);
    const ops = difference(sent, tree);
    const seq = subscription.seq + 1;
    if (ops.length === 0) {
      subscription.isHeldBack = false;
    } else if (this.#connection.send({ type: "patch", subscription: id, version: this.#version, seq, ops })) {
      // It was too large for one message; the whole tree may be smaller.
      this.#sendSnapshot(subscription, tree);
    } else {
      Object.assign(subscription, { sent: tree, seq, isHeldBack: false });
    }
  }

  // Returns why the snapshot was not sent, if so.
  #sendSnapshot(subscription, tree) {
    const snapshot = { type: "snapshot", id: subscription.id, version: this.#version, seq: 0, tree };
    const unsendable = this.#connection.send(snapshot);
    if (unsendable) this.#holdBack(subscription, unsendable);
    else Object.assign(subscription, { sent: tree, seq: 0, isHeldBack: false });
    return unsendable;
  }

  // The server keeps what it was sent before, and gets the difference once that fits.
  #holdBack(subscription, unsendable) {
    if (subscription.isHeldBack) return;
    subscription.isHeldBack = true;
    this.#fail(new RangeError(`changes of the tab cannot be sent: ${unsendable}`));
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#fail(new Error("the server sent something other than JSON"));
    }
    if (message?.type === "connect") return this.#greet();
    if (!this.#greeted) return;
    switch (message?.type) {
      case "subscribe":
      case "query":
      case "invoke":
        if (message.id === undefined) return this.#sendError(undefined, "bad_request", "`id` is missing");
        this.#guard(() => this.#flush());
        if (message.type === "invoke") return void this.#invoke(message);
        return message.type === "query" ? this.#query(message) : this.#subscribe(message);
      case "unsubscribe":
        this.#subscriptions.delete(message.id);
        return;
      case "error":
        return this.#refused(message.error);
    }
  }

  #greet() {
    this.#greeted = true;
    this.#connection.greeted();
    const provider = { id: this.#id, name: this.#name, slop_version: "0.1", capabilities: CAPABILITIES };
    const unsendable = this.#connection.send({ type: "hello", provider });
    if (unsendable) this.#fail(new RangeError(`the tab cannot be announced: ${unsendable}`));
  }

  #query({ id, path = "/", depth = -1 }) {
    const node = find(this.#tree, path);
    if (!node) return this.#sendError(id, "not_found", "there is no such path");
    const snapshot = { type: "snapshot", id, version: this.#version, tree: project(node, depth) };
    const unsendable = this.#connection.send(snapshot);
    if (unsendable) this.#sendError(id, "too_large", unsendable);
  }

  #subscribe({ id, path = "/", depth = -1 }) {
    const node = find(this.#tree, path);
    if (!node) return this.#sendError(id, "not_found", "there is no such path");
    const subscription = { id, path, depth, sent: undefined, seq: 0, isHeldBack: false };
    this.#subscriptions.set(id, subscription);
    const unsendable = this.#sendSnapshot(subscription, project(node, depth));
    if (unsendable) this.#sendError(id, "too_large", unsendable);
  }

  async #invoke({ id, path, action, params }) {
    const reply = this.#connection.reply();
    const answer = await this.#call(path, action, params ?? {});
    this.#guard(() => this.#flush());
    const unsendable = reply({ type: "result", id, ...answer });
    if (!unsendable) return;
    reply({ type: "result", id, ...failure("too_large", `the result cannot be sent: ${unsendable}`) });
  }

  async #call(path, action, params) {
    const offer = find(this.#tree, path)?.offers.get(action);
    if (!offer) return failure("not_found", "the node offers no such action");
    try {
      const violation = schemaViolation(offer.schema, params, "params");
      if (violation) return failure("invalid_params", violation);
      const value = await offer.handler(params);
      if (value?.[Symbol.asyncIterator]) return { status: "accepted", data: { taskId: this.#startTask(value) } };
      return success(value);
    } catch (error) {
      const code = typeof error?.code === "string" ? error.code : "internal";
      if (code === "internal") this.#fail(error);
      return failure(code, messageOf(error));
    }
  }

  // An async generator goes on after the call was answered; what it yields appears in a node of its own.
  #startTask(steps) {
    this.#lastTask += 1;
    const task = `task-${Date.now().toString(36)}-${this.#lastTask}`;
    const path = `tasks/${task}`;
    let cancelled = false;
    const cancel = () => {
      cancelled = true;
      // The generator ends at its next `yield`; an error there is seen by the loop below.
      steps.return?.()?.catch?.(() => {});
    };
    let props = {};
    const show = (status, update) => {
      const next = { ...props, ...update, status };
      this.#put(path, { type: "status", props: next, actions: status === "running" ? { cancel } : {} });
      props = next;
    };
    show("running");
    const run = async () => {
      for await (const step of steps) show("running", typeof step === "object" ? step : { message: step });
      show(cancelled ? "cancelled" : "done");
    };
    run()
      .catch((error) => show("failed", { error: messageOf(error).slice(0, TASK_ERROR_CHARACTERS) }))
      .catch((error) => this.#fail(error))
      .finally(() => setTimeout(() => this.remove(path), TASK_RETENTION_MS).unref?.());
    return task;
  }

  #sendError(id, code, message) {
    this.#connection.send({ type: "error", id, error: { code, message } });
  }

  #refused(error) {
    this.#fail(new Error(error?.message ?? "the server refused a message"));
    // `busy`: there were too many messages, and the server skipped some, so its copy of the tree may be wrong.
    if (error?.code !== "busy" || this.#resendPending) return;
    this.#resendPending = true;
    setTimeout(() => {
      this.#resendPending = false;
      for (const subscription of this.#subscriptions.values()) {
        if (subscription.sent) this.#sendSnapshot(subscription, subscription.sent);
      }
    }, BUSY_MS);
  }

  #lost() {
    this.#greeted = false;
    this.#subscriptions.clear();
  }

  #ended(end) {
    if (this.#onEnd) return this.#guard(() => this.#onEnd(end));
    this.#fail(new Error(`the server does not accept the page's credential: ${end.reason || end.code}`));
  }

  #guard(call) {
    try {
      call();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error) {
    try {
      this.#onError(error);
    } catch (second) {
      console.error(second);
    }
  }
}

// ------------------------------------------------------------------------------------------------ the connection

// Keeps one connection open for as long as the page is there.
class Connection {
  #url;
  #WebSocket;
  #fetch;
  #maxMessageBytes;
  #events;
  #socket;
  #opened = false;
  #greeted = false;
  #attempts = 0;
  #retryTimer;
  // Until when something must happen on the socket.
  #deadline;
  #credentialCheck;
  #state = "open";

  constructor({ url, WebSocket, fetch, maxMessageBytes }, events) {
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#fetch = fetch;
    this.#maxMessageBytes = maxMessageBytes;
    this.#events = events;
    this.#listen("addEventListener");
  }

  open() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    let socket;
    try {
      socket = new (this.#WebSocket ?? globalThis.WebSocket)(socketUrl(this.#url).href);
    } catch (error) {
      // The URL is not valid, or the page's policy forbids it: the next attempt would fail in the same way.
      return this.#events.failed(error);
    }
    this.#socket = socket;
    this.#setDeadline(CONNECT_TIMEOUT_MS);
    // A socket that was left may still have something to say, and one that failed may say so twice.
    const handler = (handle) => (event) => {
      if (this.#socket === socket) handle(event ?? {});
    };
    socket.onopen = handler(() => { this.#opened = true; });
    socket.onmessage = handler(({ data }) => this.#events.received(data));
    socket.onclose = handler((event) => this.#closed(event));
    socket.onerror = handler(() => this.#failed());
  }

  // The server has said `connect`.
  greeted() {
    this.#greeted = true;
    clearTimeout(this.#deadline);
    this.#cancelCredentialCheck();
  }

  // Returns why the message cannot be sent, if so.
  send(message) {
    return this.reply()(message);
  }

  // Sends on the socket of this moment, or not at all.
  reply() {
    const socket = this.#socket;
    return (message) => {
      if (socket?.readyState !== 1) return undefined;
      const text = toJson(message);
      const unsendable = whyUnsendable(message, text, this.#maxMessageBytes, MAX_NESTING);
      if (!unsendable) socket.send(text);
      return unsendable;
    };
  }

  close() {
    this.#stop("closed");
  }

  #stop(state) {
    this.#state = state;
    this.#listen("removeEventListener");
    this.#leave();
  }

  #setDeadline(ms) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#abandon(), ms);
  }

  // Some runtimes report a failed connection by `error` alone, some by `error` and `close`. Once it was open, `close`
  // is given time to come, for it says why.
  #failed() {
    if (this.#opened) this.#setDeadline(CLOSE_TIMEOUT_MS);
    else this.#abandon();
  }

  #abandon() {
    const socket = this.#socket;
    this.#closed({ code: 1006 });
    socket.close(RETURNING);
  }

  #closed({ code, reason }) {
    const { opened, greeted } = this.#reset();
    this.#events.lost();
    const blamed = BLAMING_CODES.includes(code);
    if (blamed) this.#events.failed(new Error(`the server closed the connection: ${reason || code}`));
    // The page may have closed the tab when it heard of that.
    if (this.#state !== "open") return;
    if (opened && !blamed) this.#attempts = 0;
    // The delay is random, so that the tabs of a server that restarts do not all come back at once.
    const ms = Math.min(RETRY_MS * 2 ** this.#attempts, RETRY_MAX_MS) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#retryTimer = setTimeout(() => this.open(), ms);
    if (!greeted) this.#checkCredential();
  }

  // Handlers stay: one for `error` must be there as long as the socket, or some runtimes end the program.
  #leave() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    this.#cancelCredentialCheck();
    const socket = this.#socket;
    if (!socket) return;
    this.#reset();
    socket.close(1000);
    this.#events.lost();
  }

  #reset() {
    const before = { opened: this.#opened, greeted: this.#greeted };
    this.#socket = undefined;
    this.#opened = this.#greeted = false;
    clearTimeout(this.#deadline);
    return before;
  }

  // A WebSocket does not tell why it could not connect. Whether the credential is still accepted can be asked over
  // HTTP: only a clear refusal ends the tab, everything else may be a server that is away.
  async #checkCredential() {
    const url = socketUrl(this.#url);
    const fetch = this.#fetch ?? defaultFetch(url, this.#WebSocket);
    if (!fetch || this.#credentialCheck) return;
    const check = new AbortController();
    this.#credentialCheck = check;
    const timer = setTimeout(() => check.abort(), CREDENTIAL_CHECK_TIMEOUT_MS);
    const end = await refusal(fetch, renewalUrl(url), check.signal);
    clearTimeout(timer);
    if (this.#credentialCheck !== check) return;
    this.#credentialCheck = undefined;
    if (!end) return;
    this.#stop("ended");
    this.#events.ended(end);
  }

  #cancelCredentialCheck() {
    this.#credentialCheck?.abort();
    this.#credentialCheck = undefined;
  }

  // A browser may keep a page when the person goes elsewhere, and show it again when they come back.
  #sleep = () => {
    this.#state = "asleep";
    this.#leave();
  };

  #wake = () => {
    if (this.#state !== "asleep") return;
    this.#state = "open";
    this.open();
  };

  #hurry = () => {
    if (this.#retryTimer !== undefined && globalThis.document?.visibilityState !== "hidden") this.open();
  };

  #listen(method) {
    globalThis[method]?.("pagehide", this.#sleep);
    globalThis[method]?.("pageshow", this.#wake);
    globalThis[method]?.("online", this.#hurry);
    globalThis.document?.[method]?.("visibilitychange", this.#hurry);
  }
}

function socketUrl(url = "/slop") {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace("http", "ws");
  full.searchParams.set("slop_role", "provider");
  if (!full.searchParams.has("mount")) full.searchParams.set("mount", "ui");
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
function defaultFetch(url, WebSocket = globalThis.WebSocket) {
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

// ------------------------------------------------------------------------------------------------ encoding

// Half of a surrogate pair, such as `slice` leaves of an emoji, is no Unicode, and a server may refuse the whole
// message because of it. `JSON.stringify` writes it as an escape; it becomes U+FFFD. Numbers that JSON cannot express
// are `null`.
function toJson(value) {
  return JSON.stringify(value)?.replace(/\\(?:u(d[89a-f][0-9a-f]{2})|.)/g, (escape, surrogate) => {
    return surrogate ? "\ufffd" : escape;
  });
}

function validUnicode(text) {
  return String(text).replace(/\p{Surrogate}/gu, "\ufffd");
}

// A copy of a value as it arrives at the server: without what JSON cannot express.
function plain(value) {
  const text = toJson(value);
  return text === undefined ? undefined : JSON.parse(text);
}

// Why the server would not read a value, whose JSON is `text`; undefined if it would.
function whyUnsendable(value, text, maxBytes, maxNesting) {
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > maxBytes) return `it takes ${bytes} bytes, more than the ${maxBytes} of maxMessageBytes`;
  return nests(value, maxNesting) ? `it is nested more than ${maxNesting} levels deep` : undefined;
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

// ------------------------------------------------------------------------------------------------ the tree

const RESERVED = ["properties", "children", "affordances", "meta", "content_ref", "id", "type"];

function split(path) {
  return validUnicode(path).split("/").filter(Boolean);
}

function checkId(id) {
  if (typeof id !== "string" || id === "" || /[/~]/.test(id) || RESERVED.includes(id)) {
    throw new TypeError(`${JSON.stringify(id)} cannot be the id of a node`);
  }
}

// A node: its fields on the wire, all its children, and in `offers` the handlers of its actions.
function describe(id, descriptor) {
  const { type = "group", props = {}, summary, meta, actions = {}, contentRef, items = [], children = {} } = descriptor;
  const offers = new Map();
  const affordances = Object.entries(actions).map(([action, spec]) => describeAction(action, spec, offers));
  const metadata = summary ? { ...meta, summary } : { ...meta };
  const node = plain({
    id,
    type,
    properties: props,
    meta: Object.keys(metadata).length > 0 ? metadata : undefined,
    affordances: affordances.length > 0 ? affordances : undefined,
    content_ref: contentRef,
  });
  node.children = describeChildren(id, items, children);
  node.offers = offers;
  return node;
}

function describeChildren(parentId, items, children) {
  const described = [...items.map((item) => [item.id, { ...item, type: "item" }]), ...Object.entries(children)];
  const seen = new Set();
  return described.map(([rawId, descriptor]) => {
    checkId(rawId);
    const id = validUnicode(rawId);
    if (seen.has(id)) throw new TypeError(`two children of ${parentId} have the id ${id}`);
    seen.add(id);
    return describe(id, descriptor);
  });
}

function describeAction(rawName, spec, offers) {
  const { handler, params, label, description, dangerous, idempotent, estimate } =
    typeof spec === "function" ? { handler: spec } : spec;
  if (typeof handler !== "function") throw new TypeError(`the action ${rawName} has no handler`);
  if (rawName === "" || /[/~]/.test(rawName)) throw new TypeError(`${JSON.stringify(rawName)} cannot be an action`);
  const action = validUnicode(rawName);
  const schema = params && plain(schemaOf(params));
  offers.set(action, { handler, schema });
  const flag = (value) => value || undefined;
  return {
    action,
    label,
    description,
    params: schema,
    dangerous: flag(dangerous),
    idempotent: flag(idempotent),
    estimate,
  };
}

// `{to: "string"}` is short for a schema in which `to` is required; a JSON Schema stays as it is.
function schemaOf(params) {
  const { type, properties, required, ...rest } = params;
  const onlyType = properties === undefined && required === undefined && Object.keys(rest).length === 0;
  if (type === "object" && (onlyType || isObject(properties) || Array.isArray(required))) return params;
  const schema = { type: "object", properties: {}, required: [] };
  for (const [name, kind] of Object.entries(params)) {
    const { optional = false, ...property } = typeof kind === "string" ? { type: kind } : kind;
    schema.properties[name] = property;
    if (!optional) schema.required.push(name);
  }
  return schema;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// The whole tree. Parents come before what is below them; an ancestor that was not set is a group.
function buildTree(id, name, nodes) {
  const { properties, ...own } = copy(nodes.get("") ?? describe(id, {}));
  const root = { ...own, type: "root", properties: { label: name, ...properties } };
  const paths = [...nodes.keys()].filter(Boolean).map(split);
  for (const path of paths.sort((a, b) => a.length - b.length)) {
    const parent = path.slice(0, -1).reduce(childOrGroup, root);
    place(parent, copy(nodes.get(path.join("/"))));
  }
  return root;
}

function copy(node) {
  return { ...node, children: node.children.map(copy) };
}

function childOrGroup(parent, id) {
  return child(parent, id) ?? place(parent, describe(id, {}));
}

function child(parent, id) {
  return parent.children.find((one) => one.id === id);
}

function place(parent, node) {
  const at = parent.children.findIndex((one) => one.id === node.id);
  if (at === -1) parent.children.push(node);
  else parent.children[at] = node;
  return node;
}

// A path may start with the id of the root.
function find(root, path) {
  if (typeof path !== "string") return undefined;
  const segments = split(path);
  const walk = (ids) => ids.reduce((node, id) => node && child(node, id), root);
  return (segments[0] === root.id && walk(segments.slice(1))) || walk(segments);
}

// The node as it is sent: a node with children at level `depth` is only a stub. A negative depth means everything.
function project({ offers, children, ...own }, depth) {
  if (depth === 0 && children.length > 0) {
    return { id: own.id, type: own.type, meta: { ...own.meta, total_children: children.length } };
  }
  if (children.length > 0 || own.type === "root") own.children = children.map((one) => project(one, depth - 1));
  return own;
}

// ------------------------------------------------------------------------------------------------ patches

const EMPTY = { meta: {}, affordances: [], content_ref: null };

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

// Whether operations can turn one node into the other: none changes a type, or turns a stub into a whole node.
function sameKind(a, b) {
  return a.type === b.type && (a.properties === undefined) === (b.properties === undefined);
}

// The operations that turn `before` into `after`, in the form that every known consumer applies correctly.
function difference(before, after, path = "", ops = []) {
  propertyOps(before.properties ?? {}, after.properties ?? {}, `${path}/properties`, ops);
  for (const [field, empty] of Object.entries(EMPTY)) {
    if (same(before[field], after[field])) continue;
    const at = `${path}/${field}`;
    ops.push({ op: "replace", path: at, value: after[field] ?? empty });
    if (after[field] === undefined) ops.push({ op: "remove", path: at });
  }
  childOps(before.children ?? [], after.children ?? [], path, ops);
  return ops;
}

function propertyOps(before, after, path, ops) {
  const at = (key) => `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) ops.push({ op: "remove", path: at(key) });
  }
  for (const [key, value] of Object.entries(after)) {
    if (!Object.hasOwn(before, key)) ops.push({ op: "add", path: at(key), value });
    else if (!same(before[key], value)) ops.push({ op: "replace", path: at(key), value });
  }
}

function childOps(before, after, path, ops) {
  const wanted = new Map(after.map((one) => [one.id, one]));
  const stays = (one) => wanted.has(one.id) && sameKind(one, wanted.get(one.id));
  for (const one of before) {
    if (!stays(one)) ops.push({ op: "remove", path: `${path}/${one.id}` });
  }
  const list = before.filter(stays);
  after.forEach((one, index) => {
    const at = `${path}/${one.id}`;
    const now = list.findIndex((old) => old.id === one.id);
    if (now === -1) {
      ops.push({ op: "add", path: at, index, value: one });
      list.splice(index, 0, one);
      return;
    }
    const [old] = list.splice(now, 1);
    list.splice(index, 0, old);
    if (now !== index) ops.push({ op: "move", path: at, index });
    difference(old, one, at, ops);
  });
}

// ------------------------------------------------------------------------------------------------ results

function success(value) {
  const data = plain(value);
  if (data === undefined || data === null) return { status: "ok" };
  if (!isObject(data)) return { status: "ok", data };
  const { __async: marked, ...rest } = data;
  if (marked === true) return { status: "accepted", data: rest };
  return Object.keys(data).length > 0 ? { status: "ok", data } : { status: "ok" };
}

function failure(code, message) {
  return { status: "error", error: { code, message } };
}

const IS_OF_TYPE = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
};

// How `value` violates the schema, by the part of JSON Schema that all implementations of SLOP check. A keyword that is
// malformed is not checked.
function schemaViolation(schema, value, at) {
  if (!isObject(schema)) return undefined;
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => IS_OF_TYPE[type]?.(value) ?? true)) {
    return `${at} must be ${/^[aeiou]/.test(types[0]) ? "an" : "a"} ${types.join(" or ")}`;
  }
  if (Array.isArray(schema.enum) && !schema.enum.some((one) => same(one, value))) {
    return `${at} must be one of ${JSON.stringify(schema.enum)}`;
  }
  if (Array.isArray(value)) {
    return first(value.entries(), ([n, item]) => schemaViolation(schema.items, item, `${at}[${n}]`));
  }
  if (!isObject(value)) return undefined;
  const required = Array.isArray(schema.required) ? schema.required : [];
  const missing = required.find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `${at}.${missing} is required`;
  const inner = Object.entries(schema.properties ?? {}).filter(([name]) => Object.hasOwn(value, name));
  return first(inner, ([name, property]) => schemaViolation(property, value[name], `${at}.${name}`));
}

function first(values, find) {
  for (const value of values) {
    const found = find(value);
    if (found) return found;
  }
  return undefined;
}
