// Compiled, never run: `tsc --noEmit` proves that consumers can be written like this, and not like that.
import { ConsumerError, connect, patched, type Consumer, type Node, type Status, type Subscription } from "./consumer.js";

const consumer: Consumer = connect({
  url: "wss://app.example/slop?token=t",
  timeoutMs: 10_000,
  probeMs: 0,
  WebSocket,
  onStatus: (status: Status) => console.log(status),
  onEvent: (name, data) => console.log(name, data),
  onEnd: ({ code, why }) => console.log(code, why),
  onError: (error) => console.log(error),
});

const inbox: Subscription = consumer.subscribe("/inbox", { depth: 2, maxNodes: 100, filter: { types: ["item"], minSalience: 0.5 }, window: [0, 25] }, (tree, change) => {
  const label: unknown = tree?.properties?.label;
  if (change.kind === "patch") change.ops.map(({ op, path }) => [op, path]);
  if (change.kind === "gone") console.log(change.error.code, label);
  // @ts-expect-error: there may be none
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
  }
  // @ts-expect-error: a copy is not written to
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
