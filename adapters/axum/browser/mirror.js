// The server's copy of a tab's tree, written from the specification and not from the module: it checks and applies
// every patch, and must then equal the answer to a query.
import assert from "node:assert/strict";

const FIELDS = ["properties", "children", "affordances", "meta", "content_ref"];

export class Mirror {
  constructor({ type, seq, version, tree }) {
    assert.deepEqual([type, seq], ["snapshot", 0]);
    Object.assign(this, { seq, version, tree });
  }

  receive(messages) {
    for (const { type, seq, version, ops } of messages) {
      assert.equal(type, "patch");
      assert.equal(seq, this.seq + 1, "there is no gap");
      assert.ok(version >= this.version, "the version does not go back");
      assert.ok(ops.length > 0, "no patch is empty");
      for (const op of ops) this.#apply(op);
      Object.assign(this, { seq, version });
    }
  }

  #apply({ op, path, value, index }) {
    const segments = path.split("/").slice(1);
    const at = segments.findIndex((segment) => FIELDS.includes(segment));
    if (at === -1) return this.#applyToChildren(segments, op, value, index);
    const node = this.#node(segments.slice(0, at));
    const [field, key] = segments.slice(at);
    const unescaped = key?.replaceAll("~1", "/").replaceAll("~0", "~");
    const [owner, name] = key === undefined ? [node, field] : [node[field], unescaped];
    assert.ok(["add", "replace", "remove"].includes(op));
    if (op === "remove") {
      assert.ok(name in owner, path);
      delete owner[name];
    } else owner[name] = structuredClone(value);
  }

  #applyToChildren(segments, op, value, index) {
    const id = segments.pop();
    const parent = this.#node(segments);
    const list = (parent.children ??= []);
    const now = list.findIndex((child) => child.id === id);
    assert.equal(now === -1, op === "add", `${op} ${id}`);
    const [old] = now === -1 ? [] : list.splice(now, 1);
    assert.ok(index === undefined || index <= list.length);
    if (op === "add") list.splice(index ?? list.length, 0, structuredClone(value));
    if (op === "move") list.splice(index, 0, old);
    if (list.length === 0 && parent.type !== "root") delete parent.children;
  }

  #node(ids) {
    return ids.reduce((node, id) => node.children.find((child) => child.id === id), this.tree);
  }
}
