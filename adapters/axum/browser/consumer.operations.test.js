// `consumer.js`: what each operation of a patch does to a tree.
import assert from "node:assert/strict";
import { test } from "node:test";

import { patched } from "./consumer.js";

test("every operation does what SLOP says", () => {
  const item = (id, more) => ({ id, type: "item", ...more });
  const properties = { "a/b": 1, "~": 2, list: [1, 2, 3], deep: { k: 1 } };
  const tree = item("r", { properties, meta: { salience: 1 }, children: [
    item("a"), item("b", { children: [item("x"), item("properties-x")] }), item("c"),
  ] });
  const after = (...ops) => patched(tree, ops);
  const ids = (node) => node.children.map(({ id }) => id).join("");
  const op = (op, path, value, index) => ({ op, path, value, index });
  assert.equal(after(op("replace", "/properties/a~1b", 9)).properties["a/b"], 9);
  assert.equal(after(op("replace", "/properties/~0", 9)).properties["~"], 9);
  assert.deepEqual(after(op("replace", "/properties", { x: 1 })).properties, { x: 1 });
  assert.deepEqual(after(op("remove", "/properties/list")).properties.list, undefined);
  assert.deepEqual(after(op("replace", "/properties/deep/k", null)).properties.deep, { k: null });
  assert.deepEqual(after(op("add", "/properties/list/1", 9)).properties.list, [1, 9, 2, 3]);
  assert.deepEqual(after(op("add", "/properties/list/-", 9)).properties.list, [1, 2, 3, 9]);
  const both = [op("remove", "/properties/list/0"), op("replace", "/properties/list/1", 9)];
  assert.deepEqual(after(...both).properties.list, [2, 9]);
  assert.deepEqual(after(op("add", "/properties/children", 1)).properties.children, 1, "inside a field, names are keys");
  assert.deepEqual(after(op("add", "/a/properties/first", 1)).children[0].properties, { first: 1 });
  for (const verb of ["add", "replace"]) {
    for (const [field, value] of [["affordances", [{ action: "x" }]], ["meta", { salience: 0 }], ["content_ref", null]]) {
      assert.deepEqual(after(op(verb, `/a/${field}`, value)).children[0][field], value);
    }
  }
  assert.equal("meta" in after(op("replace", "/meta", {}), op("remove", "/meta")), false);
  assert.equal(after(op("replace", "/meta/salience", 0)).meta.salience, 0);
  assert.equal(ids(after(op("add", "/n", item("n")))), "abcn");
  assert.equal(ids(after(op("add", "/n", item("n"), 0))), "nabc");
  assert.equal(ids(after(op("add", "/n", item("n"), 99))), "abcn");
  assert.equal(ids(after(op("add", "/a/n", item("n"))).children[0]), "n");
  assert.equal(ids(after(op("move", "/a", undefined, 1))), "bac", "the index counts without the moved child");
  assert.equal(ids(after(op("move", "/c", undefined, 0))), "cab");
  assert.equal(ids(after(op("move", "/a", undefined, 99))), "bca");
  assert.equal(ids(after(op("remove", "/b"))), "ac");
  assert.equal(after(op("replace", "/b", item("b", { type: "view" }))).children[1].type, "view");
  assert.equal(ids(after(op("remove", "/b/x")).children[1]), "properties-x");
  assert.equal(ids(after(op("remove", "/children/b/children/x")).children[1]), "properties-x");
  assert.equal(ids(after(op("replace", "/children", [item("z")]))), "z");
  assert.equal(after(op("replace", "/", item("new"))).id, "new");
  assert.equal(after(op("fly", "/b")), tree, "an unknown operation is ignored");
  assert.deepEqual(after(), tree);
});

test("an operation that cannot be applied throws and changes nothing", () => {
  const tree = { id: "r", type: "t", properties: { n: 1, list: [] }, children: [{ id: "a", type: "t" }] };
  const before = JSON.stringify(tree);
  for (const [op, path, value] of [
    ["remove", "/nobody"], ["replace", "/nobody", {}], ["move", "/nobody"], ["add", "/a", {}], ["add", "/nobody/x", {}],
    ["replace", "/nobody/properties/x", 1], ["remove", "/meta"], ["remove", "/properties/x"],
    ["replace", "/properties/n/x", 1], ["replace", "/meta/x", 1], ["move", "/properties/n"],
    ["replace", "/properties/list/0", 1], ["add", "/properties/list/x", 1],
    ["remove", "/"], ["replace", "/", 7], ["remove", ""],
    ["replace", "/properties/constructor/x", 1], ["remove", "/properties/toString"],
  ]) {
    const ops = [{ op: "replace", path: "/properties/n", value: 2 }, { op, path, value }];
    assert.throws(() => patched(tree, ops), { code: "out_of_step" }, `${op} ${path}`);
  }
  assert.equal(JSON.stringify(tree), before);
});

test("a key that is special in JavaScript is an ordinary key", () => {
  const op = { op: "add", path: "/properties/__proto__", value: { x: 1 } };
  const tree = patched({ id: "r", type: "t", properties: {} }, [op]);
  assert.deepEqual(Object.keys(tree.properties), ["__proto__"]);
  assert.equal(tree.properties.x, undefined);
  assert.throws(() => patched(tree, [{ op: "add", path: "/properties/constructor/prototype/x", value: 1 }]));
  assert.equal({}.x, undefined);
});
