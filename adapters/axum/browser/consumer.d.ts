/**
 * Keeps exact copies of parts of a session's state tree, and calls its actions.
 *
 * ```js
 * import { connect } from "/slop/consumer.js";
 *
 * const consumer = connect({ url: "/slop?token=...", onEnd: ({ why }) => console.log(why) });
 * const inbox = consumer.subscribe("/inbox", { depth: 2 }, (tree) => show(tree));
 * await inbox.ready;
 * await consumer.invoke("/inbox/m1", "archive");
 * ```
 *
 * It connects at once and again after every loss: after a random time below 1 s, then twice as long each time up to
 * 30 s, and from the start again once a connection lasted. Subscriptions go on by themselves: the server sends what
 * changed meanwhile if it still knows where the copies stood, and everything anew otherwise. A request that was sent and
 * not answered when the connection was lost fails with the code `lost`; none hangs.
 *
 * It is a module without dependencies for pages, bundlers and Node 20 or later, where `WebSocket` has to be given
 * (such as that of the package `ws` or `undici`) unless the runtime has one.
 *
 * @throws if the URL is none.
 */
export function connect(options?: Options): Consumer;

export interface Options {
  /**
   * The endpoint; may be relative to the page, and `http` stands for `ws`. Its query is kept, such as a token.
   * `/slop` if absent.
   */
  url?: string | URL;
  /** How long a request may take unless it says otherwise, in ms; 30,000 if absent. */
  timeoutMs?: number;
  /**
   * After how long a silence the server is asked for a sign of life, in ms; 30,000 if absent, and 0 is never. Without an
   * answer within 10 s the connection counts as lost.
   */
  probeMs?: number;
  /** Told whenever the status changes. */
  onStatus?: (status: Status) => void;
  /** Told of events of the server, such as `session.expiring`, `server.draining` and those of the application. */
  onEvent?: (name: string, data: unknown) => void;
  /** Told once when it ended for good, and why. */
  onEnd?: (end: End) => void;
  /** Told what goes wrong and is nobody's answer, such as an error of a listener. `console.error` if absent. */
  onError?: (error: unknown) => void;
  /** Makes the socket instead of the runtime's own `WebSocket`. */
  WebSocket?: new (url: string) => Socket;
}

/** `waiting` is between a loss and the next attempt; `ended` is for good. */
export type Status = "connecting" | "open" | "waiting" | "ended";

export interface End {
  /** The close code. */
  code: number;
  /** A few words of the server. */
  reason: string;
  /**
   * `closed` by this side or the application; `refused`: revoked, or a rule was broken; `expired`: authenticate again;
   * `replaced`: another connection went on from here; `too_large`: a message was over the server's limit.
   */
  why: "closed" | "refused" | "expired" | "replaced" | "too_large";
}

export interface Consumer {
  readonly status: Status;
  /** What the server said of itself at last; absent before the first connection. */
  readonly provider: Provider | undefined;
  /**
   * Keeps a copy of the node at `path` and what is below it. `listener` is told of every change of it, with the new tree.
   */
  subscribe(path: string, options?: View, listener?: (tree: Node | undefined, change: Change) => void): Subscription;
  /** Asks once. Waits for a connection if there is none, as long as its time is not up. */
  query(path: string, options?: View, request?: RequestOptions): Promise<Node>;
  /**
   * Calls an action. What it changed is in the copies before it answers.
   *
   * Fails with a {@link ConsumerError} whose code is the server's, such as `invalid_params`, `not_found`, `conflict`;
   * or `timeout`, `lost` (it may have been done all the same) or `closed`.
   */
  invoke(path: string, action: string, params?: object, request?: RequestOptions): Promise<Result>;
  /** Ends it for good. */
  close(): void;
}

export interface RequestOptions {
  /** How long it may take, in ms, the wait for a connection included. */
  timeoutMs?: number;
}

/** What a subscription or a query shows. */
export interface View {
  /** How many levels below the node; everything if absent or negative. */
  depth?: number;
  /** How many nodes at most; the least important are collapsed. */
  maxNodes?: number;
  filter?: { types?: readonly string[]; minSalience?: number };
  /** Which of the node's children, and how many. */
  window?: readonly [offset: number, count: number];
}

export interface Subscription {
  /**
   * The copy; absent before the first snapshot and while the path does not exist. It is never changed in place: what is
   * the same object as before is unchanged.
   */
  readonly tree: Node | undefined;
  readonly version: number | undefined;
  /** The first tree; fails with the code `not_found` if there is no such path. */
  readonly ready: Promise<Node>;
  close(): void;
}

/** Why a listener is called. */
export type Change =
  | { kind: "snapshot" }
  | { kind: "patch"; ops: readonly Operation[] }
  /** The connection is back and nothing was missed so far. */
  | { kind: "resumed" }
  /** The path does not exist any more, or its view fits no message. A snapshot follows when it does again. */
  | { kind: "gone"; error: ConsumerError };

export interface Result {
  /** `accepted`: it goes on, and `data.path` or `data.taskId` says where to look. */
  status: "ok" | "accepted";
  data?: unknown;
}

export class ConsumerError extends Error {
  constructor(code: string, message: string);
  /** `not_found`, `invalid_params`, `unauthorized`, `conflict`, `busy`, `lost`, `timeout`, `closed` or another. */
  readonly code: string;
}

/** The tree after a patch, as SLOP has it. What did not change is the same object as before. */
export function patched(tree: Node, ops: readonly Operation[]): Node;

export interface Operation {
  op: "add" | "remove" | "replace" | "move";
  path: string;
  value?: unknown;
  index?: number;
}

export interface Node {
  readonly id: string;
  readonly type: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly children?: readonly Node[];
  readonly affordances?: readonly Affordance[];
  readonly meta?: Meta;
  readonly content_ref?: ContentRef;
}

export interface Affordance {
  readonly action: string;
  readonly label?: string;
  readonly description?: string;
  /** A JSON Schema. */
  readonly params?: object;
  readonly dangerous?: boolean;
  readonly idempotent?: boolean;
  readonly estimate?: "instant" | "fast" | "slow" | "async";
}

export interface Meta {
  readonly summary?: string;
  readonly salience?: number;
  readonly pinned?: boolean;
  readonly changed?: boolean;
  readonly focus?: boolean;
  readonly urgency?: "none" | "low" | "medium" | "high" | "critical";
  readonly reason?: string;
  readonly total_children?: number;
  readonly window?: readonly [number, number];
  readonly [name: string]: unknown;
}

export interface ContentRef {
  readonly type: "text" | "binary" | "stream";
  readonly mime: string;
  readonly uri: string;
  readonly summary: string;
  readonly size?: number;
  readonly preview?: string;
  readonly encoding?: string;
  readonly hash?: string;
}

export interface Provider {
  readonly id: string;
  readonly name: string;
  readonly slop_version: string;
  readonly capabilities: readonly string[];
  /** Which server's versions these are; absent if it cannot resume. */
  readonly epoch?: string;
  readonly session?: Readonly<Record<string, unknown>>;
}

/** As much of a WebSocket as is needed. */
export interface Socket {
  readonly readyState: number;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}
