// `tab.js` against a scripted server: what it sends when the tree changes. A mirror applies every patch.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Mirror } from "./mirror.js";
import { clock, errors, mounted, query, retry, sockets } from "./tab.setup.js";
import { settled } from "./still_clock.js";

test("all changes of one turn are one patch with only the differences", async () => {
  const { tab, socket, mirror } = await mounted();
  tab.set("route", { props: { path: "/", "a/b~c": 1, gone: 1 } });
  await settled();
  mirror.receive(socket.take());
  tab.set("route", { props: { path: "/x", "a/b~c": 1, gone: 1 } });
  tab.set("route", { props: { path: "/y", "a/b~c": 2, more: null } });
  await settled();
  const [patch, ...others] = socket.sent;
  assert.deepEqual(others, []);
  assert.deepEqual(patch.ops, [
    { op: "remove", path: "/route/properties/gone" },
    { op: "replace", path: "/route/properties/path", value: "/y" },
    { op: "replace", path: "/route/properties/a~1b~0c", value: 2 },
    { op: "add", path: "/route/properties/more", value: null },
  ]);
  mirror.receive(socket.take());
  tab.set("route", { props: { path: "/y", "a/b~c": 2, more: null } });
  await settled();
  assert.deepEqual(socket.take(), []);
});

test("meta, affordances and content_ref are replaced as a whole, and emptied before they are removed", async () => {
  const { tab, socket, mirror } = await mounted();
  const contentRef = { type: "text", mime: "text/plain", summary: "s", uri: "slop://content/x" };
  tab.set("x", {});
  await settled();
  mirror.receive(socket.take());
  tab.set("x", { meta: { focus: true }, actions: { go: () => {} }, contentRef });
  await settled();
  assert.deepEqual(socket.sent[0].ops, [
    { op: "replace", path: "/x/meta", value: { focus: true } },
    { op: "replace", path: "/x/affordances", value: [{ action: "go" }] },
    { op: "replace", path: "/x/content_ref", value: contentRef },
  ]);
  mirror.receive(socket.take());
  tab.set("x", {});
  await settled();
  assert.deepEqual(socket.sent[0].ops.slice(0, 2), [
    { op: "replace", path: "/x/meta", value: {} },
    { op: "remove", path: "/x/meta" },
  ]);
  mirror.receive(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
});

test("children are added at their index, moved and removed; a node with another type is another node", async () => {
  const { tab, socket, mirror } = await mounted();
  const list = async (...ids) => {
    tab.set("l", { type: "collection", items: ids.map((id) => ({ id })) });
    await settled();
    const ops = socket.sent.flatMap((patch) => patch.ops);
    mirror.receive(socket.take());
    return ops.map(({ op, path, index }) => [op, path, index]);
  };
  await list("a", "c");
  assert.deepEqual(await list("a", "b", "c"), [["add", "/l/b", 1]]);
  assert.deepEqual(await list("c", "a", "b"), [["move", "/l/c", 0]]);
  assert.deepEqual(await list("c", "b"), [["remove", "/l/a", undefined]]);
  tab.set("l", { type: "view", items: [{ id: "b" }] });
  await settled();
  const ops = socket.sent[0].ops.map(({ op, path, index }) => [op, path, index]);
  assert.deepEqual(ops, [["remove", "/l", undefined], ["add", "/l", 0]]);
  mirror.receive(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
});

test("after random changes every subscription's mirror equals a query", async () => {
  let seed = 1;
  const random = (below) => {
    seed = (seed * 48271) % 2147483647;
    return seed % below;
  };
  const maybe = (value) => (random(2) === 0 ? value : undefined);
  const ids = ["a", "b", "c", "2", "1"];
  const shuffled = () => ids.map((id) => [random(100), id]).sort().map(([, id]) => id).slice(0, random(6));
  const value = () => [random(3), null, { q: random(2) }, "\ud83d", NaN][random(5)];
  const node = (deep) => ({
    type: ["view", "status"][random(4) === 0 ? 1 : 0],
    props: Object.fromEntries(["x", "y/z", "w~"].filter(() => random(2)).map((key) => [key, value()])),
    summary: maybe(`s${random(2)}`),
    actions: maybe({ go: { handler() {}, label: `l${random(2)}` } }),
    contentRef: maybe({ type: "text", mime: "text/plain", summary: "s", size: random(2) }),
    items: deep > 0 ? shuffled().map((id) => ({ id, ...node(deep - 1) })) : [],
  });
  const paths = ["a", "b", "a/b", "a/b/c", "z/y", "a/1", ""];
  const { tab, socket } = await mounted();
  const views = [["/", -1], ["/", 1], ["/", 2], ["/a", -1], ["/a", 0], ["/ui/b", 1]];
  tab.set("a", {});
  tab.set("b", {});
  const mirrors = views.map(([path, depth], n) => {
    socket.say({ type: "subscribe", id: `s${n}`, path, depth });
    return new Mirror(socket.take().at(-1));
  });
  for (let round = 0; round < 400; round += 1) {
    for (let n = random(3); n >= 0; n -= 1) {
      const path = paths[random(paths.length)];
      if (random(3) === 0 && path !== "a" && path !== "b") tab.remove(path);
      else tab.set(path, node(2));
    }
    await settled();
    for (const message of socket.take()) {
      const n = Number((message.subscription ?? message.id).slice(1));
      if (Number.isNaN(n)) continue;
      if (message.type === "snapshot") mirrors[n] = new Mirror(message);
      else mirrors[n].receive([message]);
    }
    views.forEach(([path, depth], n) => {
      assert.deepEqual(mirrors[n].tree, query(socket, path, depth).tree, `round ${round}`);
    });
  }
  assert.deepEqual(errors, []);
});

test("a second subscribe replaces the first, unsubscribe ends it, and a node that returns is a snapshot", async () => {
  const { tab, socket } = await mounted();
  socket.say({ type: "unsubscribe", id: "ui-mount" });
  tab.set("a", { props: { n: 1 } });
  await settled();
  assert.deepEqual(socket.take(), []);
  for (let n = 0; n < 2; n += 1) socket.say({ type: "subscribe", id: "s", path: "/a" });
  assert.deepEqual(socket.take().map(({ seq }) => seq), [0, 0]);
  tab.set("a", { props: { n: 2 } });
  await settled();
  const sent = socket.take().map(({ type, seq, ops }) => [type, seq, ops[0].path]);
  assert.deepEqual(sent, [["patch", 1, "/properties/n"]]);
  tab.remove("a");
  await settled();
  assert.deepEqual(socket.take().map(({ type, id, error }) => [type, id, error.code]), [["error", "s", "not_found"]]);
  tab.set("a", {});
  await settled();
  assert.deepEqual(socket.take().map(({ type, id, seq }) => [type, id, seq]), [["snapshot", "s", 0]]);
});

// ------------------------------------------------------------------------------------------------ size

const text = (bytes) => ({ props: { text: "x".repeat(bytes) } });

test("a node that is larger than the server accepts is refused, and the others are still sent", async () => {
  const { tab, socket, mirror } = await mounted();
  tab.set("draft", text(10));
  tab.set("draft", text(262_144));
  tab.set("emoji", { props: { text: "😀".repeat(70_000) } });
  tab.set("route", { props: { path: "/" } });
  await settled();
  mirror.receive(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
  assert.deepEqual(mirror.tree.children.map(({ id }) => id), ["draft", "route"]);
  assert.equal(mirror.tree.children[0].properties.text.length, 10);
  assert.deepEqual(errors.map(({ name }) => name), ["RangeError", "RangeError"]);
  assert.match(errors[0].message, /"draft".* more than the 262144 of maxMessageBytes/);
});

test("a tree that has become too large stays with the server as it was, until it fits again", async () => {
  const { tab, socket, mirror } = await mounted();
  tab.set("a", text(130_000));
  await settled();
  tab.set("b", text(130_000));
  await settled();
  mirror.receive(socket.take());
  for (const n of [1, 2, 3]) {
    tab.set("c", { props: { n, text: "x".repeat(200_000) } });
    tab.set("b", text(130_000 + n));
    await settled();
  }
  assert.deepEqual(socket.take(), []);
  assert.equal(errors.length, 1, "it is reported once");
  assert.match(errors[0].message, /more than the 262144 of maxMessageBytes/);
  assert.equal(query(socket).error.code, "too_large");
  tab.remove("c");
  await settled();
  mirror.receive(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
  for (const n of [2, 3]) {
    tab.set("c", text(200_000));
    await settled();
    assert.equal(errors.length, n, "it is reported again each time that it has become too large");
    tab.remove("c");
    await settled();
    assert.deepEqual(socket.take(), []);
  }
});

test("a tree that is exactly as large as the server accepts is sent", async () => {
  const { tab, socket } = await mounted();
  const ops = [{ op: "replace", path: "/a/properties/text", value: "" }];
  const overhead = JSON.stringify({ type: "patch", subscription: "ui-mount", version: 2, seq: 2, ops }).length;
  tab.set("a", text(1));
  await settled();
  tab.set("a", text(262_144 - overhead));
  await settled();
  assert.equal(Buffer.byteLength(socket.lastText), 262_144);
  assert.deepEqual(errors, []);
});

test("a patch that is too large becomes a snapshot if that fits", async () => {
  const { tab, socket } = await mounted({ maxMessageBytes: 3_000 });
  const ids = Array.from({ length: 30 }, (_, n) => `item-${n}`);
  const show = (ids) => tab.set("list", { items: ids.map((id) => ({ id })) });
  show(ids);
  await settled();
  assert.equal(socket.take()[0].type, "patch");
  show(ids.toReversed().map((id) => `${id}x`));
  await settled();
  const [{ type, seq, tree }] = socket.take();
  assert.deepEqual([type, seq, tree.children[0].children.length], ["snapshot", 0, 30]);
  tab.set("x", {});
  await settled();
  assert.deepEqual(socket.take().map(({ type, seq }) => [type, seq]), [["patch", 1]]);
  assert.deepEqual(errors, []);
});

test("a tree that is too large from the start is sent once it fits", async () => {
  const { tab, socket } = await mounted();
  tab.set("a", text(200_000));
  tab.set("b", text(200_000));
  socket.end();
  retry();
  const next = sockets.at(-1);
  next.greet();
  next.say({ type: "subscribe", id: "ui-mount", path: "/", depth: -1 });
  assert.deepEqual(next.take().map(({ type, error }) => [type, error?.code]), [["hello", undefined], ["error", "too_large"]]);
  tab.remove("b");
  await settled();
  const [snapshot] = next.take();
  assert.deepEqual([snapshot.type, snapshot.id, snapshot.tree.children.length], ["snapshot", "ui-mount", 1]);
});

test("nodes that are nested too deeply for the server are held back too", async () => {
  const { tab, socket, mirror } = await mounted();
  let nested = 1;
  for (let level = 0; level < 60; level += 1) nested = [nested];
  const path = Array.from({ length: 40 }, (_, n) => `n${n}`).join("/");
  tab.set(path, { props: { nested } });
  await settled();
  assert.deepEqual(socket.take(), []);
  assert.match(errors[0].message, /nested more than 127 levels/);
  tab.set(path, { props: { nested: 1 } });
  await settled();
  mirror.receive(socket.take());
  assert.deepEqual(mirror.tree, query(socket).tree);
});

test("the server's `busy` is answered with the whole tree", async () => {
  const { tab, socket } = await mounted();
  tab.set("x", {});
  await settled();
  socket.take();
  for (let n = 0; n < 5; n += 1) socket.say({ type: "error", error: { code: "busy", message: "too many messages" } });
  clock.advance(1_000);
  assert.deepEqual(socket.take().map(({ type, seq, tree }) => [type, seq, tree.children.length]), [["snapshot", 0, 1]]);
  tab.set("y", {});
  await settled();
  assert.deepEqual(socket.take().map(({ type, seq }) => [type, seq]), [["patch", 1]]);
});
