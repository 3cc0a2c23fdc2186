// `consumer.js` against a scripted server: the events of rooms.
import assert from "node:assert/strict";
import { test } from "node:test";

import { failureCode, open, reconnect } from "./consumer.setup.js";

const ROOM = { id: "m_1", type: "room", properties: { title: "Board" } };

function event(seq, fields = {}) {
  const about = { id: `e_${seq}`, room: "m_1", project: "acme", epoch: "x", kind: "message", at: "now" };
  return { ...about, seq, body: { text: `${seq}` }, ...fields };
}

function say(socket, ...events) {
  for (const data of events) socket.say({ type: "event", name: data.kind, data });
}

// A connected consumer that has joined the room.
function joined(options) {
  const { consumer, socket } = open();
  const events = consumer.events("m_1", options);
  const [{ id }] = socket.take();
  socket.say({ type: "snapshot", id, version: 1, seq: 0, tree: ROOM });
  return { consumer, socket, events, id };
}

// What the loop gets: the number of each event, or the first and the last one of a gap.
const shown = ({ kind, seq, body }) => (kind === "room.gap" ? [body.from_seq, body.to_seq] : seq ?? kind);

async function take(events, count) {
  const taken = [];
  while (taken.length < count) taken.push(shown((await events.next()).value));
  return taken;
}

async function rest(events) {
  const taken = [];
  for await (const event of events) taken.push(shown(event));
  return taken;
}

test("events are iterated in order, and the subscription that joins the room ends with the loop", async () => {
  const { consumer, socket } = open();
  const events = consumer.events("m_1");
  const [{ id, ...request }] = socket.take();
  assert.deepEqual(request, { type: "subscribe", path: "/rooms/m_1", depth: 0 });
  const waiting = events.next();
  say(socket, event(4), event(5));
  assert.deepEqual((await waiting).value, event(4));
  for await (const { seq } of events) {
    assert.equal(seq, 5);
    break;
  }
  assert.deepEqual(socket.take(), [{ type: "unsubscribe", id }]);
  say(socket, event(6));
  assert.deepEqual(await events.next(), { value: undefined, done: true });
});

test("copies, heartbeats and the events of others are left out", async () => {
  const { socket, events } = joined();
  const direct = event(undefined, { id: "e_d" });
  say(socket, event(4), event(4), event(4, { id: "e_other" }), event(5, { room: "m_2" }), direct, direct);
  say(socket, { kind: "news", room: "m_1" }, event(undefined, { id: "e_h", kind: "heartbeat" }), event(5));
  socket.say({ type: "event", name: "news" });
  assert.deepEqual(await take(events, 3), [4, "message", 5]);
});

test("two loops in one room each get every event, and the room is left with the last one", async () => {
  const { consumer, socket, events, id } = joined();
  const others = consumer.events("m_1");
  const [{ id: other }] = socket.take();
  say(socket, event(4));
  assert.deepEqual([await take(events, 1), await take(others, 1)], [[4], [4]]);
  await events.return();
  await others.return();
  assert.deepEqual(socket.take(), [{ type: "unsubscribe", id }, { type: "unsubscribe", id: other }]);
});

test("a gap that the server tells is told once, and covers all that is missing", async () => {
  const { socket, events } = joined();
  const told = (from_seq, to_seq) => ({ id: `e_g${to_seq}`, seq: undefined, kind: "room.gap", body: { from_seq, to_seq } });
  say(socket, event(4), event(0, told(5, 7)), event(8), event(0, told(6, 7)), event(0, told(10, 11)), event(12));
  assert.deepEqual(await take(events, 5), [4, [5, 7], 8, [9, 11], 12]);
});

test("an event that stands for others leaves no gap before it", async () => {
  const { socket, events } = joined();
  say(socket, event(4), event(9, { from_seq: 5 }), event(12, { from_seq: 11 }));
  assert.deepEqual(await take(events, 4), [4, 9, [10, 10], 12]);
});

test("after a reconnect the loop goes on, and is told what it has missed", async () => {
  const { socket, events } = joined();
  say(socket, event(4));
  socket.end();
  const next = reconnect();
  assert.deepEqual(next.take().map(({ type, path }) => [type, path]), [["subscribe", "/rooms/m_1"]]);
  say(next, event(4), event(7), event(8));
  assert.deepEqual(await take(events, 4), [4, [5, 6], 7, 8]);
  next.end();
  const last = reconnect();
  say(last, event(9));
  assert.deepEqual(await take(events, 1), [9]);
});

test("of a room that lost its history, everything before the first event is missing", async () => {
  const { socket, events } = joined();
  say(socket, event(4), event(3, { id: "e_n3", epoch: "y" }), event(1, { id: "e_n1", epoch: "z" }));
  assert.deepEqual(await take(events, 4), [4, [1, 2], 3, 1]);
});

test("a slow loop loses the oldest events and is told which", async () => {
  const { socket, events } = joined({ maxWaiting: 2 });
  say(socket, ...[4, 5, 6, 7, 8].map((seq) => event(seq)));
  assert.deepEqual(await take(events, 3), [[4, 6], 7, 8]);
  say(socket, event(9), event(undefined, { id: "e_d" }), event(10), event(11));
  assert.deepEqual(await take(events, 3), [[9, 9], 10, 11]);
});

test("the loop ends behind the end of the room", async () => {
  const { socket, events, id } = joined();
  say(socket, event(4), event(5, { kind: "room.ended", body: { reason: "close" } }), event(6));
  assert.deepEqual(await rest(events), [4, 5]);
  assert.deepEqual(socket.take(), [{ type: "unsubscribe", id }]);
});

const NO_ROOM = { code: "not_found", message: "no such path" };

test("the loop fails if there is no such room", async () => {
  const { consumer, socket } = open();
  const nothing = consumer.events("m_9");
  socket.say({ type: "error", id: socket.take()[0].id, error: NO_ROOM });
  assert.equal(await failureCode(nothing.next()), "not_found");
  assert.deepEqual(await nothing.next(), { value: undefined, done: true });
});

test("the loop fails when there is no such room any more for this session", async () => {
  const { socket, events, id } = joined();
  socket.say({ type: "error", id, error: NO_ROOM });
  assert.equal(await failureCode(events.next()), "not_found");
});

test("the loop ends when the consumer is closed, and fails when it ends for another reason", async () => {
  const { consumer, socket, events } = joined();
  say(socket, event(4));
  consumer.close();
  assert.deepEqual(await rest(events), [4]);
  assert.equal(await failureCode(consumer.events("m_1").next()), "closed");
});

test("the loop fails when the session is revoked", async () => {
  const { socket, events } = joined();
  const next = failureCode(events.next());
  socket.end(1008, "revoked");
  assert.equal(await next, "closed");
});
