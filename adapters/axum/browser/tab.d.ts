/**
 * Publishes nodes and actions of a page in the state tree of its session.
 *
 * The page is one *tab* of the session: its AI sees what the page publishes below `/ui/tab-N`, where the server
 * chooses `N`, and calls its actions there. Nobody else's AI does.
 *
 * ```js
 * import { publish } from "/slop/tab.js";
 *
 * const tab = publish({ name: "Inbox" });
 * tab.set("route", {
 *   type: "status",
 *   props: { path: location.pathname },
 *   actions: {
 *     navigate: { params: { to: "string" }, handler: ({ to }) => router.push(to) },
 *   },
 * });
 * ```
 *
 * It connects at once, and reconnects after every loss: after 1 s, then twice as long each time up to 30 s, and at
 * once when the page becomes visible or the network comes back. It disconnects when the person leaves the page, and
 * reconnects if the browser shows the same page again. Nothing here throws: errors go to `onError`.
 *
 * A WebSocket does not tell why it could not connect. So whenever an attempt fails, the server is asked over HTTP
 * whether it still accepts the page's credential (`POST` to `/renew` below the endpoint, with `fetch`). If it answers
 * 401, or 403 in its own words, the tab ends; if it cannot be reached or answers anything else, the tab keeps trying.
 * A page of another origin can read the answer only if the server allows that (CORS); otherwise it keeps trying.
 */
export function publish(options?: Options): Tab;

export interface Options {
  /**
   * The endpoint; may be relative to the page, and `http` stands for `ws`. Its query is kept, such as a token.
   * `/slop` if absent.
   */
  url?: string | URL;
  /** The id of the tab's root, as it is sent to the server; `ui` if absent. Paths that the AI sees do not depend on it. */
  id?: string;
  /** The name of the tab for the AI; the title of the document if absent. */
  name?: string;
  /**
   * The largest message that the server accepts from a tab, in bytes of UTF-8. The default is that of the server,
   * 262,144; give the server's own bound if it was configured with another. The server closes the connection when it
   * gets a larger message, so none is sent: an action whose result is larger fails with `too_large`, and a tree that
   * is larger stays for the AI as it was before, until it fits again. `onError` is called in the second case.
   */
  maxMessageBytes?: number;
  /**
   * Called when the data of the server has changed, so that the page fetches what it shows again. The server does not
   * call it again before it is done. Adds the node `__adapter`.
   */
  onRefresh?: () => unknown;
  /**
   * Called with every error: a node that cannot be published, an action that failed without a `code`, a server that
   * closed the connection because of what the tab sent. `console.error` if absent.
   */
  onError?: (error: unknown) => void;
  /**
   * Called once, when the tab has ended because the server refused the page's credential: it will not reconnect.
   * Publish again after the person has logged in. If absent, `onError` is called instead.
   */
  onEnd?: (end: End) => void;
  /** Used instead of the page's own `WebSocket`. */
  WebSocket?: new (url: string) => Socket;
  /**
   * Asks the server whether it still accepts the credential, instead of the page's own `fetch`. If `WebSocket` is
   * given and adds a credential of its own, such as a header, give a `fetch` that adds the same one; without it, the
   * question is asked only if the URL has a `token`.
   */
  fetch?: (url: string, request: CredentialCheck) => Promise<CredentialCheckResponse>;
}

export interface End {
  /** The HTTP status with which the server refused the credential. */
  code: 401 | 403;
  /** A short text of the server. */
  reason: string;
  /** `unauthorized`: log in again. `forbidden`: this person may not connect, or not from this page. */
  why: "unauthorized" | "forbidden";
}

export interface Tab {
  /**
   * Publishes a node, or its new state. `path` is `route`, or `compose/draft` for a node below another; an ancestor
   * that was not set is a group. All changes of one turn of the event loop are sent as one patch that has only the
   * differences.
   *
   * `""` is the root: its properties, meta and actions, but not its type.
   *
   * A node that cannot be published (its properties are cyclic or hold a `bigint`, it is larger than `maxMessageBytes`)
   * is reported to `onError`, and what was published before stays.
   */
  set(path: string, descriptor: Descriptor): void;
  /** Removes a node. Nodes that were set below it stay. */
  remove(path: string): void;
  /** Removes the tab: it will not reconnect. */
  close(): void;
}

/** What a node is. */
export interface Descriptor {
  /** Such as `status`, `view`, `collection`, `document`, `form`; `group` if absent. */
  type?: string;
  /**
   * Any values that JSON can express. They are copied: after a later change, the node has to be set again. `NaN` and
   * `Infinity` become `null`. A lone surrogate in a string, such as `slice` leaves of an emoji, becomes U+FFFD.
   */
  props?: Record<string, unknown>;
  /** One line for the AI; short for `meta.summary`. */
  summary?: string;
  meta?: Meta;
  /** What the AI may do. A function alone is an action without parameters. */
  actions?: Record<string, Action | (() => unknown)>;
  contentRef?: ContentRef;
  /** A list of nodes of the type `item`, in this order. */
  items?: Item[];
  /** Other nodes below this one, by id. */
  children?: Record<string, Descriptor>;
}

export type Item = Omit<Descriptor, "type"> & { id: string };

/** Returns its argument. It lets a compiler infer the types of the handler's parameters. */
export function action<P extends Params>(action: Action<P>): Action;

export interface Action<P extends Params = any> {
  /** Its parameters. They are checked before the handler runs. */
  params?: P;
  /**
   * Carries out the action. What it sets reaches the AI before the result, which is the value that it returns:
   * nothing, or anything that JSON can express.
   *
   * If it throws, the AI gets the message, and the error's `code` if that is a string, such as `conflict`.
   * An async generator is a task: the AI gets a result at once, and follows what the generator yields in a node
   * `tasks/...`, where it can also cancel it.
   */
  handler(params: Values<P>): unknown;
  label?: string;
  description?: string;
  /** A person should be asked first. */
  dangerous?: boolean;
  idempotent?: boolean;
  estimate?: "instant" | "fast" | "slow" | "async";
}

export interface Meta {
  summary?: string;
  /** How much it matters now, from 0 to 1. */
  salience?: number;
  pinned?: boolean;
  changed?: boolean;
  focus?: boolean;
  urgency?: "none" | "low" | "medium" | "high" | "critical";
  reason?: string;
  [name: string]: unknown;
}

export interface ContentRef {
  type: "text" | "binary" | "stream";
  mime: string;
  summary: string;
  uri?: string;
  size?: number;
  preview?: string;
  encoding?: string;
  hash?: string;
}

/** Parameters by name, such as `{ to: "string" }`, all of them required unless marked; or a whole JSON Schema. */
export type Params = Record<string, ParamType | Param> | Schema;

export interface Param {
  type?: ParamType;
  description?: string;
  enum?: readonly unknown[];
  items?: object;
  optional?: boolean;
}

export interface Schema {
  type: "object";
  properties?: Record<string, object>;
  required?: readonly string[];
  additionalProperties?: boolean;
  description?: string;
}

export type ParamType = keyof Types;

interface Types {
  string: string;
  number: number;
  integer: number;
  boolean: boolean;
  object: Record<string, unknown>;
  array: unknown[];
  null: null;
}

type Value<P> =
  P extends ParamType ? Types[P]
  : P extends { enum: readonly (infer E)[] } ? E
  : P extends { type: infer T extends ParamType } ? Types[T]
  : unknown;

type Optional<P> = { [Name in keyof P]: P[Name] extends { optional: true } ? Name : never }[keyof P];

/** The type of a handler's argument, by its parameters. */
export type Values<P> =
  P extends { type: "object"; properties: object } ? Record<string, any>
  : { [Name in Exclude<keyof P, Optional<P>>]: Value<P[Name]> } & { [Name in Optional<P>]?: Value<P[Name]> };

/** The request that asks whether the credential is still accepted. */
export interface CredentialCheck {
  method: "POST";
  credentials: "include";
  redirect: "manual";
  cache: "no-store";
  signal: AbortSignal;
}

/** The part of a `Response` that is used. */
export interface CredentialCheckResponse {
  readonly status: number;
  json(): Promise<any>;
}

/** The part of a `WebSocket` that is used. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}
