// Compiled but never run: `tsc` checks that these uses of the module are accepted and that the marked ones are not.
import {
  ConsumerError, connect, patched, type Consumer, type End, type Node, type Status, type Subscription,
} from "./consumer.js";

const consumer: Consumer = connect({
  url: "wss://app.example/slop?token=t",
  timeoutMs: 10_000,
  maxMessageBytes: 1_000_000,
  probeMs: 0,
  keepPlace: true,
  WebSocket,
  fetch,
  onStatus: (status: Status) => console.log(status),
  onEvent: (name, data) => console.log(name, data),
  onEnd: ({ code, why }) => console.log(code, why),
  onError: (error) => console.log(error),
});

const view = { depth: 2, maxNodes: 100, filter: { types: ["item"], minSalience: 0.5 }, window: [0, 25] } as const;
const inbox: Subscription = consumer.subscribe("/inbox", view, (tree, change) => {
  const label: unknown = tree?.properties?.label;
  if (change.kind === "patch") change.ops.map(({ op, path }) => [op, path]);
  if (change.kind === "gone") console.log(change.error.code, label);
  // @ts-expect-error: there may be no tree
  tree.id;
  // @ts-expect-error: only patches have operations
  change.ops;
});
consumer.subscribe("/");

export async function use(): Promise<Node> {
  const first: Node = await inbox.ready;
  const { status, data } = await consumer.invoke("/inbox/m1", "archive", { why: "old" }, { timeoutMs: 5_000 });
  if (status === "accepted") console.log(data);
  const node = await consumer.query("/inbox", { depth: 0 });
  try {
    await consumer.invoke("/", "nothing");
  } catch (error) {
    if (error instanceof ConsumerError && error.code === "not_found") return node;
    throw new ConsumerError("other", "something else", { cause: error });
  }
  // @ts-expect-error: a copy is read-only
  first.id = "x";
  // @ts-expect-error: there is no such status
  consumer.status === "closed";
  inbox.close();
  consumer.close();
  return patched(first, [{ op: "remove", path: "/m1" }]);
}

// @ts-expect-error: a window has two numbers
consumer.subscribe("/", { window: [1] });
// @ts-expect-error: there is no such operation
patched({ id: "a", type: "b" }, [{ op: "copy", path: "/x" }]);

export async function listen(): Promise<void> {
  for await (const event of consumer.events("m_1", { maxWaiting: 10 })) {
    const name: string | undefined = event.actor?.name;
    if (event.kind === "room.gap") console.log(event.body.from_seq, name);
    // @ts-expect-error: not every event has a number
    event.seq + 1;
  }
  // @ts-expect-error: a bound is a number
  consumer.events("m_1", { maxWaiting: "10" });
}

export function login({ code, why }: End): boolean {
  // @ts-expect-error: there is no such reason
  if (why === "revoked") return false;
  return why === "expired" || why === "unauthorized" || code === 403;
}
// A `fetch` that adds a header, for a `WebSocket` that does so too.
connect({ WebSocket, fetch: (url, request) => fetch(url, { ...request, headers: { authorization: "Bearer t" } }) });
// @ts-expect-error: a limit is a number of bytes
connect({ maxMessageBytes: "64 KiB" });
