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
 * It connects at once and again after every loss (after 1 s, then twice as long each time up to 30 s; at once when the
 * page becomes visible or the network comes back). It lets go when the page is left, and resumes when the person
 * comes back to it. Nothing here throws: what goes wrong is told to `onError`.
 */
export function publish(options?: Options): Tab;

export interface Options {
  /**
   * The endpoint; may be relative to the page, and `http` stands for `ws`. Its query is kept, such as a token.
   * `/slop` if absent.
   */
  url?: string | URL;
  /** The id of the tab's root, as the server is told; `ui` if absent. Paths of the AI do not depend on it. */
  id?: string;
  /** How the AI is told what this is; the title of the document if absent. */
  name?: string;
  /**
   * Called when the data of the server has changed, so that the page fetches again what it shows. The server waits for
   * its end before it calls again. Adds the node `__adapter`.
   */
  onRefresh?: () => unknown;
  /**
   * Told what goes wrong: a node that cannot be published, an action that failed without a `code`, a server that
   * refused the tab. `console.error` if absent.
   */
  onError?: (error: unknown) => void;
  /** Makes the socket instead of the page's own `WebSocket`. */
  WebSocket?: new (url: string) => Socket;
}

export interface Tab {
  /**
   * Publishes a node, or what became of it. `path` is `route`, or `compose/draft` for a node below another; one that
   * nobody set is a group. What happens in one turn of the page is sent as one patch, with only what differs.
   *
   * `""` is the root: its properties, meta and actions, but not its type.
   */
  set(path: string, descriptor: Descriptor): void;
  /** Takes a node away. Nodes that were set below it stay. */
  remove(path: string): void;
  /** Takes everything away, for good. */
  close(): void;
}

/** What a node is. */
export interface Descriptor {
  /** Such as `status`, `view`, `collection`, `document`, `form`; `group` if absent. */
  type?: string;
  /** Anything that JSON knows. It is copied: what changes later has to be set again. */
  props?: Record<string, unknown>;
  /** One line for the AI; the same as `meta.summary`. */
  summary?: string;
  meta?: Meta;
  /** What the AI may do. A function alone is an action without parameters. */
  actions?: Record<string, Action | (() => unknown)>;
  contentRef?: ContentRef;
  /** A list, in its order; each is a node of the type `item`. */
  items?: Item[];
  /** Other nodes below this one, by id. */
  children?: Record<string, Descriptor>;
}

export type Item = Omit<Descriptor, "type"> & { id: string };

/** Gives back the action it is given; with it, a compiler knows the types of the handler's parameters. */
export function action<P extends Params>(action: Action<P>): Action;

export interface Action<P extends Params = any> {
  /** What it takes. It is checked before the handler runs. */
  params?: P;
  /**
   * Does it. What it sets arrives at the AI before its answer, which is what it returns (nothing, or anything that JSON
   * knows).
   *
   * If it throws, the AI is told the message, and the `code` of the error if that is a text, such as `conflict`.
   * An async generator is a task: the AI is answered at once and follows what it yields in a node `tasks/...`, where it
   * can also cancel it.
   */
  handler(params: Values<P>): unknown;
  label?: string;
  description?: string;
  /** Ask a person first. */
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

/** What a handler is given, by its parameters. */
export type Values<P> =
  P extends { type: "object"; properties: object } ? Record<string, any>
  : { [Name in Exclude<keyof P, Optional<P>>]: Value<P[Name]> } & { [Name in Optional<P>]?: Value<P[Name]> };

/** As much of a WebSocket as is needed. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}
