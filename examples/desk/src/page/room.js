// Keeps the page of the board live over one connection: it is a consumer that has joined the room of the board. The
// events are the feed; the tree tells which section to fetch again.
import { connect } from "/slop/consumer.js";
import { load, main } from "/sections.js";

const { room, login } = main.dataset;
const feed = document.getElementById("feed");
const status = document.getElementById("status");

// ------------------------------------------------------------------------------------------------ the connection

const STATUSES = { connecting: "connecting", open: "live", waiting: "connecting again", ended: "ended" };

// A reload is no coming and going: the others see the person stay.
const consumer = connect({
  url: "/board/slop",
  keepPlace: true,
  onStatus: (now) => { status.textContent = STATUSES[now]; },
  onEnd: ({ why }) => {
    if (why !== "closed") toLogin();
  },
});

function toLogin() {
  memory.forget();
  location.assign("/login");
}

// Whoever goes back to the desk leaves at once, and whoever logs out leaves nothing here.
document.getElementById("leave").addEventListener("click", () => consumer.close());
document.querySelector("form[action='/logout']").addEventListener("submit", () => memory.forget());

// ------------------------------------------------------------------------------------------------ the sections

const SECTIONS = { participants: "people", board: "board" };
const seen = {};

consumer.subscribe(`/rooms/${room}`, {}, (tree) => {
  for (const child of tree?.children ?? []) {
    // A node that has not changed is the same object as before.
    if (child === seen[child.id]) continue;
    seen[child.id] = child;
    if (child.id in SECTIONS) load(SECTIONS[child.id]);
  }
});

// ------------------------------------------------------------------------------------------------ the feed

const SHOWN = 200;

// What the tab has shown, so that a reload shows it again. The room itself keeps nothing.
const memory = {
  isOver: false,
  read() {
    try {
      const kept = JSON.parse(sessionStorage.getItem("board"));
      return kept?.login === login ? kept.events : [];
    } catch {
      return [];
    }
  },
  write(events) {
    if (this.isOver) return;
    try {
      sessionStorage.setItem("board", JSON.stringify({ login, events }));
    } catch {
      // There is no space for it, and then a reload shows less.
    }
  },
  forget() {
    // What still comes while the browser goes elsewhere is not kept either.
    this.isOver = true;
    sessionStorage.removeItem("board");
  },
};

let events = memory.read();
// Only the events that follow a reload have to be compared with those before: the consumer tells of all other gaps.
let compared = false;

function take(event) {
  const gap = compared ? undefined : gapBefore(event);
  compared = true;
  for (const next of gap ? [gap, event] : [event]) {
    events.push(next);
    append(next);
  }
  events = events.slice(-SHOWN);
  memory.write(events);
}

function gapBefore({ epoch, at, ...event }) {
  const [from_seq] = numbers(event);
  const last = events.findLast((shown) => shown.epoch === epoch && numbers(shown)[1]);
  const known = last && numbers(last)[1];
  if (!known || from_seq <= known + 1) return undefined;
  return { kind: "room.gap", epoch, at, body: { from_seq: known + 1, to_seq: from_seq - 1 } };
}

// The first and the last number for which an event stands; nothing for a message to one participant.
function numbers({ kind, seq, from_seq = seq, body }) {
  return kind === "room.gap" ? [body.from_seq, body.to_seq] : [from_seq, seq];
}

const LEFT = { lost: "is gone", expired: "was logged out", revoked: "has logged out" };

// Says in words what happened; nothing for what the page does not show.
const WORDS = {
  "message": ({ text, data }) => text ?? JSON.stringify(data),
  "participant.joined": () => "is here",
  "participant.left": ({ reason }) => LEFT[reason] ?? "has left",
  "participant.offline": () => "is offline",
  "participant.online": () => "is back",
  "room.gap": ({ from_seq, to_seq }) => missing(to_seq - from_seq + 1),
  "room.ended": () => "The board has closed.",
};

function missing(count) {
  return count === 1 ? "1 event is missing here" : `${count} events are missing here`;
}

// Whatever people and AIs write is text, and never markup.
function append({ kind, actor, at, seq, body }) {
  const words = WORDS[kind]?.(body);
  if (words === undefined) return;
  const line = document.createElement("li");
  line.dataset.kind = kind;
  if (seq) line.dataset.seq = seq;
  if (kind === "message") line.classList.add(body.data?.card ? "deed" : "said", actor.kind);
  const time = document.createElement("time");
  time.dateTime = at;
  time.textContent = new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  line.append(time);
  if (actor && kind !== "room.ended") {
    const who = document.createElement("b");
    who.textContent = actor.name;
    line.append(who, " ");
  }
  const what = document.createElement("span");
  what.textContent = words;
  line.append(what);
  const isAtEnd = feed.scrollHeight - feed.scrollTop - feed.clientHeight < 40;
  feed.append(line);
  while (feed.children.length > SHOWN) feed.firstChild.remove();
  if (isAtEnd) feed.scrollTop = feed.scrollHeight;
}

events.forEach(append);
try {
  for await (const event of consumer.events(room)) take(event);
} catch (error) {
  // The end of the consumer has already led to the login page.
  if (error.code !== "closed") status.textContent = "there is no board";
}
