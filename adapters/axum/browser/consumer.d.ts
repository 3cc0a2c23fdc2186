/**
 * Keeps exact copies of parts of a session's state tree, and invokes actions on it.
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
 * It connects at once, and reconnects after every loss: after a random delay of less than 1 s, then less than 2 s, 4
 * s and so on up to 30 s. After a connection that was stable, the delays start from the beginning. Subscriptions
 * continue by themselves: the server sends what has changed since if it still knows which version the copies have,
 * and a snapshot otherwise. A request that had been sent when the connection was lost fails with the code `lost`;
 * none waits for ever.
 *
 * A WebSocket does not tell why it could not connect. So whenever an attempt fails, the server is asked over HTTP
 * whether it still accepts the credential (`POST` to `/renew` below the endpoint, with `fetch`). If it answers 401,
 * or 403 in its own words, the consumer ends; if it cannot be reached or answers anything else, the consumer keeps
 * trying. A page of another origin can read the answer only if the server allows that (CORS); otherwise it keeps
 * trying.
 *
 * It is a module without dependencies for pages, bundlers and Node 20 or later, where `WebSocket` has to be given
 * (such as that of the package `ws` or `undici`) unless the runtime has one.
 *
 * @throws if the URL is not valid.
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
   * The largest message that the server accepts from a consumer, in bytes of UTF-8. The default is that of the
   * server, 65,536; give the server's own bound if it was configured with another. The server closes the connection
   * when it gets a larger message, so none is sent: the request fails with `too_large`.
   */
  maxMessageBytes?: number;
  /**
   * After how long a silence the server is asked for a sign of life, in ms; 30,000 if absent, and 0 is never. Without a
   * response within 10 s the connection counts as lost.
   */
  probeMs?: number;
  /**
   * Whether the session keeps its place in its rooms when the page is reloaded or left; false if absent. The server then
   * counts the connection as lost, and waits as long as for any lost connection before others see the session go: a
   * reload is nothing that they notice. To leave at once, call {@link Consumer.close}, or invoke `leave` on the room.
   */
  keepPlace?: boolean;
  /** Called whenever the status changes. */
  onStatus?: (status: Status) => void;
  /** Called for every event of the server, such as `session.expiring`, `server.draining` and those of the application. */
  onEvent?: (name: string, data: unknown) => void;
  /** Called once, when the consumer has ended and will not reconnect, with the reason. */
  onEnd?: (end: End) => void;
  /** Called with every error that no promise reports, such as an exception in a listener. `console.error` if absent. */
  onError?: (error: unknown) => void;
  /** Used instead of the runtime's own `WebSocket`. */
  WebSocket?: new (url: string) => Socket;
  /**
   * Asks the server whether it still accepts the credential, instead of the runtime's own `fetch`. If `WebSocket` is
   * given and adds a credential of its own, such as a header, give a `fetch` that adds the same one; without it, the
   * question is asked only if the URL has a `token`.
   */
  fetch?: (url: string, request: CredentialCheck) => Promise<CredentialCheckResponse>;
}

/** `waiting`: the connection is lost, and the next attempt has not begun. `ended`: it will not reconnect. */
export type Status = "connecting" | "open" | "waiting" | "ended";

export interface End {
  /** The close code; or the HTTP status, 401 or 403, with which the server refused the credential. */
  code: number;
  /** A short text of the server. */
  reason: string;
  /**
   * `closed`: by this side or the application. `refused`: the session was revoked, or a rule was broken. `expired`: the
   * authentication has ended; authenticate again. `replaced`: another connection resumed in place of this one.
   * `too_large`: a message was over the server's limit. `unauthorized`, `forbidden`: while there was no connection, the
   * server refused the credential, for instance because it was revoked; authenticate again.
   */
  why: "closed" | "refused" | "expired" | "replaced" | "too_large" | "unauthorized" | "forbidden";
}

export interface Consumer {
  readonly status: Status;
  /** What the server last said about itself; absent before the first connection. */
  readonly provider: Provider | undefined;
  /**
   * Keeps a copy of the node at `path` and of what is below it. `listener` is called with the new tree after every
   * change.
   *
   * It does not throw: if the options cannot be sent, `ready` fails with `bad_request` or `too_large`.
   */
  subscribe(path: string, options?: View, listener?: (tree: Node | undefined, change: Change) => void): Subscription;
  /**
   * Reads once. If there is no connection, it waits for one until its time is up.
   *
   * Fails with a {@link ConsumerError}, like {@link Consumer.invoke}; `bad_request` if the options cannot be sent.
   */
  query(path: string, options?: View, request?: RequestOptions): Promise<Node>;
  /**
   * Invokes an action. What it changed is in the copies before the promise resolves.
   *
   * `params` are encoded at once: later changes of the object have no effect. A lone surrogate in a string, such as
   * `slice` leaves of an emoji, becomes U+FFFD.
   *
   * Fails with a {@link ConsumerError} whose code is the server's, such as `invalid_params`, `not_found`, `conflict`;
   * or `timeout`, `lost` (it may have been executed) or `closed`. Parameters that JSON cannot express (a `bigint`,
   * a cycle, `NaN`, `Infinity`, a `toJSON` that throws) fail with `invalid_params`, too large ones with `too_large`;
   * these are never sent.
   */
  invoke(path: string, action: string, params?: object, request?: RequestOptions): Promise<Result>;
  /**
   * Joins a room, and iterates over what happens there from then on, in order, each event once:
   *
   * ```js
   * for await (const { kind, actor, body } of consumer.events("m_...")) {
   *   if (kind === "message") show(actor.name, body.text);
   *   if (kind === "room.gap") showThatSomethingIsMissing();
   * }
   * ```
   *
   * It goes on after a reconnect. What was missed, then or because the loop is slow, is told by one `room.gap`.
   * Heartbeats are left out. It ends behind `room.ended`, and when the consumer is closed; it fails with a
   * {@link ConsumerError} if there is no such room for the session (any more), or the consumer ends for another reason.
   * Leaving the loop leaves the room, unless something else is subscribed there.
   */
  events(room: string, options?: EventsOptions): AsyncIterableIterator<RoomEvent>;
  /** Ends the consumer: it will not reconnect. */
  close(): void;
}

export interface EventsOptions {
  /** How many events may wait for the loop before the oldest are dropped; 1,000 if absent. */
  maxWaiting?: number;
}

/** Something that happened in a room. */
export interface RoomEvent {
  /** The same in every copy of the event. */
  readonly id: string;
  readonly room: string;
  readonly project: string;
  /** To which history `seq` belongs; another one only if history was lost. */
  readonly epoch: string;
  /** Counts 1, 2, 3 and so on. Absent for messages to one participant, and for gaps. */
  readonly seq?: number;
  /** The first event for which this one stands, if it stands for several. */
  readonly from_seq?: number;
  /** Such as `message`, `participant.joined` or `room.ended`. */
  readonly kind: string;
  /** Who made it happen, as the server knows. Absent for gaps. */
  readonly actor?: Actor;
  readonly trace_id?: string;
  readonly call_id?: string;
  /** When, as RFC 3339. */
  readonly at: string;
  /** What belongs to the kind; `{ from_seq, to_seq }` for a `room.gap`. */
  readonly body: Readonly<Record<string, any>>;
}

export interface Actor {
  readonly user?: string;
  readonly name: string;
  /** Absent if the actor has not joined. */
  readonly participant?: string;
  readonly kind: "person" | "agent" | "session" | "daemon" | "system";
}

export interface RequestOptions {
  /** How long the request may take, in ms, including the wait for a connection. */
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
   * The copy; absent before the first snapshot and while the node does not exist. It is never changed in place: a
   * node that is the same object as before has not changed.
   */
  readonly tree: Node | undefined;
  readonly version: number | undefined;
  /** The first tree. Fails with a {@link ConsumerError}, such as `not_found` if there is no such node. */
  readonly ready: Promise<Node>;
  close(): void;
}

/** Why a listener is called. */
export type Change =
  | { kind: "snapshot" }
  | { kind: "patch"; ops: readonly Operation[] }
  /** The connection is back, and the copy is still valid. What changed in the meantime follows as patches. */
  | { kind: "resumed" }
  /** The node does not exist any more, or its view is too large for a message. If it comes back, a snapshot follows. */
  | { kind: "gone"; error: ConsumerError };

export interface Result {
  /** `accepted`: the action goes on, and `data.path` or `data.taskId` says where to watch it. */
  status: "ok" | "accepted";
  data?: unknown;
}

export class ConsumerError extends Error {
  constructor(code: string, message: string, options?: { cause?: unknown });
  /**
   * `not_found`, `invalid_params`, `unauthorized`, `conflict`, `busy`, `bad_request`, `too_large`, `lost`, `timeout`,
   * `closed` or another.
   */
  readonly code: string;
}

/** The tree after a patch, by the rules of SLOP. A node that the patch does not touch stays the same object. */
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
  /** Which run of the server the versions belong to; absent if it cannot resume. */
  readonly epoch?: string;
  readonly session?: Readonly<Record<string, unknown>>;
}

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
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(text: string): void;
  close(code?: number): void;
}
