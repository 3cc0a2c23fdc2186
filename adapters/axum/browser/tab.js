// Publishes nodes and actions of a page in the state tree of its session, where they stand as `/ui/tab-N`.
// One ES module without dependencies; `tab.d.ts` is its manual. The rules are those of SLOP for browser providers:
// say nothing before `connect`, patches before the result, nothing of an old socket on a new one.

const CAPABILITIES = ["state", "patches", "affordances", "attention", "async", "content_refs"];

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
const BUSY_MS = 1_000;
const TASK_KEEP_MS = 60_000;

// Close codes that blame what we sent: to come back at once would only repeat it.
const BLAMED = [1008, 1009];

export function publish(options = {}) {
  return new Tab(options);
}

// For the sake of its types alone.
export function action(spec) {
  return spec;
}

class Tab {
  #id;
  #name;
  #onError;
  #link;
  #nodes = new Map();
  #tree;
  #version = 0;
  #changed = false;
  #greeted = false;
  #resending = false;
  #subscriptions = new Map();
  #lastTask = 0;

  constructor({ id = "ui", name, onRefresh, onError, url, WebSocket }) {
    this.#id = id;
    this.#name = name ?? (globalThis.document?.title || id);
    this.#onError = onError ?? console.error;
    this.#tree = grow(this.#id, this.#name, this.#nodes);
    if (onRefresh) {
      const description = "Fetches again what the page shows";
      const handler = async () => void (await onRefresh());
      this.set("__adapter", { type: "context", actions: { refresh: { description, handler } } });
    }
    this.#link = new Link({ url, WebSocket }, {
      received: (text) => this.#receive(text),
      lost: () => this.#lost(),
      failed: (error) => this.#fail(error),
    });
    this.#link.open();
  }

  set(path, descriptor) {
    try {
      const segments = split(path);
      segments.forEach(checkId);
      const id = segments.at(-1) ?? this.#id;
      this.#nodes.set(segments.join("/"), describe(id, descriptor));
      this.#change();
    } catch (error) {
      this.#fail(error);
    }
  }

  remove(path) {
    if (this.#nodes.delete(split(path).join("/"))) this.#change();
  }

  close() {
    this.#link.close();
  }

  #change() {
    if (this.#changed) return;
    this.#changed = true;
    queueMicrotask(() => this.#flush());
  }

  // Sends each subscription what changed since the last time.
  #flush() {
    if (!this.#changed) return;
    this.#changed = false;
    this.#tree = grow(this.#id, this.#name, this.#nodes);
    this.#version += 1;
    for (const subscription of this.#subscriptions.values()) this.#update(subscription);
  }

  #update(subscription) {
    const { id, path, depth, sent } = subscription;
    const node = find(this.#tree, path);
    if (!node) {
      subscription.sent = undefined;
      if (sent) this.#refuse(id, "not_found", "there is no such path");
      return;
    }
    const next = project(node, depth);
    subscription.sent = next;
    if (!sent || !sameKind(sent, next)) return this.#snapshot(subscription);
    const ops = difference(sent, next);
    if (ops.length === 0) return;
    subscription.seq += 1;
    this.#link.send({ type: "patch", subscription: id, version: this.#version, seq: subscription.seq, ops });
  }

  #snapshot(subscription) {
    subscription.seq = 0;
    const { id, seq, sent: tree } = subscription;
    this.#link.send({ type: "snapshot", id, version: this.#version, seq, tree });
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
        if (message.id === undefined) return this.#refuse(undefined, "bad_request", "`id` is missing");
        this.#flush();
        return message.type === "invoke" ? this.#invoke(message) : this.#show(message);
      case "unsubscribe":
        this.#subscriptions.delete(message.id);
        return;
      case "error":
        return this.#complain(message.error);
    }
  }

  #greet() {
    this.#greeted = true;
    const provider = { id: this.#id, name: this.#name, slop_version: "0.1", capabilities: CAPABILITIES };
    this.#link.send({ type: "hello", provider });
  }

  #show({ type, id, path = "/", depth = -1 }) {
    const node = find(this.#tree, path);
    if (!node) return this.#refuse(id, "not_found", "there is no such path");
    const tree = project(node, depth);
    if (type === "query") return this.#link.send({ type: "snapshot", id, version: this.#version, tree });
    const subscription = { id, path, depth, sent: tree, seq: 0 };
    this.#subscriptions.set(id, subscription);
    this.#snapshot(subscription);
  }

  async #invoke({ id, path, action, params }) {
    const reply = this.#link.reply();
    const answer = await this.#call(path, action, params ?? {});
    this.#flush();
    reply({ type: "result", id, ...answer });
  }

  async #call(path, action, params) {
    const offer = find(this.#tree, path)?.offers.get(action);
    if (!offer) return failure("not_found", "the node offers no such action");
    const fault = misfit(offer.schema, params, "params");
    if (fault) return failure("invalid_params", fault);
    try {
      const value = await offer.handler(params);
      if (value?.[Symbol.asyncIterator]) return { status: "accepted", data: { taskId: this.#start(value) } };
      return success(value);
    } catch (error) {
      const code = typeof error?.code === "string" ? error.code : "internal";
      if (code === "internal") this.#fail(error);
      return failure(code, String(error?.message ?? error));
    }
  }

  // An async generator works on; what it yields is seen in a node of its own.
  #start(steps) {
    this.#lastTask += 1;
    const task = `task-${Date.now().toString(36)}-${this.#lastTask}`;
    const path = `tasks/${task}`;
    let cancelled = false;
    const cancel = () => {
      cancelled = true;
      // It ends at its next `yield`; how is seen there.
      steps.return?.()?.catch?.(() => {});
    };
    let props = {};
    const show = (status, news) => {
      props = { ...props, ...news, status };
      this.set(path, { type: "status", props, actions: status === "running" ? { cancel } : {} });
    };
    show("running");
    const work = async () => {
      for await (const news of steps) show("running", typeof news === "object" ? news : { message: news });
      show(cancelled ? "cancelled" : "done");
    };
    work()
      .catch((error) => show("failed", { error: String(error?.message ?? error) }))
      .finally(() => setTimeout(() => this.remove(path), TASK_KEEP_MS).unref?.());
    return task;
  }

  #refuse(id, code, message) {
    this.#link.send({ type: "error", id, error: { code, message } });
  }

  #complain(error) {
    this.#fail(new Error(error?.message ?? "the server refused a message"));
    // Too many messages at once: some were not read, so the server's copy of the tree may be wrong.
    if (error?.code !== "busy" || this.#resending) return;
    this.#resending = true;
    setTimeout(() => {
      this.#resending = false;
      for (const subscription of this.#subscriptions.values()) {
        if (subscription.sent) this.#snapshot(subscription);
      }
    }, BUSY_MS);
  }

  #lost() {
    this.#greeted = false;
    this.#subscriptions.clear();
  }

  #fail(error) {
    try {
      this.#onError(error);
    } catch (worse) {
      console.error(worse);
    }
  }
}

// ------------------------------------------------------------------------------------------------ the socket

// Keeps one socket open for as long as the page is there.
class Link {
  #url;
  #WebSocket;
  #events;
  #socket;
  #retry;
  #tries = 0;
  #state = "open";

  constructor({ url, WebSocket }, events) {
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#events = events;
    this.#listen("addEventListener");
  }

  open() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    let socket;
    try {
      socket = new (this.#WebSocket ?? globalThis.WebSocket)(address(this.#url));
    } catch (error) {
      // A URL that is none, or one that the page's policy forbids: it would be the same the next time.
      return this.#events.failed(error);
    }
    this.#socket = socket;
    let opened = false;
    socket.onopen = () => { opened = true; };
    socket.onmessage = ({ data }) => this.#events.received(data);
    socket.onclose = (event) => this.#closed(event ?? {}, opened);
  }

  send(message) {
    this.reply()(message);
  }

  // Answers on the socket of this moment, or not at all.
  reply() {
    const socket = this.#socket;
    return (message) => {
      if (socket?.readyState === 1) socket.send(JSON.stringify(message));
    };
  }

  close() {
    this.#state = "closed";
    this.#listen("removeEventListener");
    this.#leave();
  }

  #closed({ code, reason }, opened) {
    this.#socket = undefined;
    this.#events.lost();
    const blamed = BLAMED.includes(code);
    if (blamed) this.#events.failed(new Error(`the server ended the connection: ${reason || code}`));
    if (opened && !blamed) this.#tries = 0;
    const wait = Math.min(RETRY_MS * 2 ** this.#tries, RETRY_MAX_MS);
    this.#tries += 1;
    // Jitter, so that the tabs of a server that restarts do not come all at once.
    this.#retry = setTimeout(() => this.open(), wait * (0.5 + Math.random() / 2));
  }

  #leave() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = undefined;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
    this.#events.lost();
  }

  // A page may be kept, asleep, when the person goes elsewhere, and wake up when they come back.
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
    if (this.#retry !== undefined && globalThis.document?.visibilityState !== "hidden") this.open();
  };

  #listen(method) {
    globalThis[method]?.("pagehide", this.#sleep);
    globalThis[method]?.("pageshow", this.#wake);
    globalThis[method]?.("online", this.#hurry);
    globalThis.document?.[method]?.("visibilitychange", this.#hurry);
  }
}

function address(url = "/slop") {
  const full = new URL(url, globalThis.location?.href);
  full.protocol = full.protocol.replace("http", "ws");
  full.searchParams.set("slop_role", "provider");
  if (!full.searchParams.has("mount")) full.searchParams.set("mount", "ui");
  full.hash = "";
  return full.href;
}

// ------------------------------------------------------------------------------------------------ the tree

const RESERVED = ["properties", "children", "affordances", "meta", "content_ref", "id", "type"];

function split(path) {
  return String(path).split("/").filter(Boolean);
}

function checkId(id) {
  if (typeof id !== "string" || id === "" || /[/~]/.test(id) || RESERVED.includes(id)) {
    throw new TypeError(`${JSON.stringify(id)} cannot be the id of a node`);
  }
}

// As it would come out of the wire: a copy, without what JSON does not know.
function plain(value) {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}

// A node: its fields of the wire, all its children, and in `offers` the handlers of its actions.
function describe(id, descriptor) {
  const { type = "group", props = {}, summary, meta, actions = {}, contentRef, items = [], children = {} } = descriptor;
  const offers = new Map();
  const affordances = Object.entries(actions).map(([action, spec]) => offer(action, spec, offers));
  const about = summary ? { ...meta, summary } : { ...meta };
  const node = plain({
    id,
    type,
    properties: props,
    meta: Object.keys(about).length > 0 ? about : undefined,
    affordances: affordances.length > 0 ? affordances : undefined,
    content_ref: contentRef,
  });
  node.children = [];
  const seen = new Set();
  const below = [...items.map((item) => [item.id, { ...item, type: "item" }]), ...Object.entries(children)];
  for (const [childId, child] of below) {
    checkId(childId);
    if (seen.has(childId)) throw new TypeError(`two children of ${id} have the id ${childId}`);
    seen.add(childId);
    node.children.push(describe(childId, child));
  }
  node.offers = offers;
  return node;
}

function offer(action, spec, offers) {
  const { handler, params, label, description, dangerous, idempotent, estimate } =
    typeof spec === "function" ? { handler: spec } : spec;
  if (typeof handler !== "function") throw new TypeError(`the action ${action} has no handler`);
  if (action === "" || /[/~]/.test(action)) throw new TypeError(`${JSON.stringify(action)} cannot be an action`);
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

// `{to: "string"}` is short for a schema in which `to` is required; what is a JSON Schema already stays as it is.
function schemaOf(params) {
  const { type, properties, required, ...rest } = params;
  const only = properties === undefined && required === undefined && Object.keys(rest).length === 0;
  if (type === "object" && (only || isObject(properties) || Array.isArray(required))) return params;
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

// The whole tree. Parents come before what is below them; an ancestor that nobody set is a group.
function grow(id, name, nodes) {
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

// The root's id may stand before a path.
function find(root, path) {
  const segments = split(path);
  const walk = (ids) => ids.reduce((node, id) => node && child(node, id), root);
  return (segments[0] === root.id && walk(segments.slice(1))) || walk(segments);
}

// The node as it is sent: below `depth` (negative: everything) only how many children there are.
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

// Whether operations can make the one of the other: none changes a type, nor makes a node of its stub.
function sameKind(a, b) {
  return a.type === b.type && (a.properties === undefined) === (b.properties === undefined);
}

// The operations that make `after` of `before`, in the dialect that every known copy applies correctly.
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

// ------------------------------------------------------------------------------------------------ answers

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

const FITS = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === "string",
  number: (value) => typeof value === "number",
  integer: Number.isInteger,
  boolean: (value) => typeof value === "boolean",
  null: (value) => value === null,
};

// What is wrong with `value`, by the part of JSON Schema that all of SLOP's peers check.
function misfit(schema, value, at) {
  if (!isObject(schema)) return undefined;
  const types = [schema.type ?? []].flat();
  if (types.length > 0 && !types.some((type) => FITS[type]?.(value) ?? true)) {
    return `${at} must be ${/^[aeiou]/.test(types[0]) ? "an" : "a"} ${types.join(" or ")}`;
  }
  if (Array.isArray(schema.enum) && !schema.enum.some((one) => same(one, value))) {
    return `${at} must be one of ${JSON.stringify(schema.enum)}`;
  }
  if (Array.isArray(value)) return first(value.entries(), ([n, item]) => misfit(schema.items, item, `${at}[${n}]`));
  if (!isObject(value)) return undefined;
  const missing = (schema.required ?? []).find((name) => !Object.hasOwn(value, name));
  if (missing !== undefined) return `${at}.${missing} is required`;
  const inner = Object.entries(schema.properties ?? {}).filter(([name]) => Object.hasOwn(value, name));
  return first(inner, ([name, property]) => misfit(property, value[name], `${at}.${name}`));
}

function first(values, find) {
  for (const value of values) {
    const found = find(value);
    if (found) return found;
  }
  return undefined;
}
