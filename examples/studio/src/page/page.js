// Two people in one room, side by side: each pane is a consumer of its own, as if it was in a browser of its own.
// `/?as=ann` shows only one of them, for two browsers.
import { connect } from "/slop/consumer.js";
import { Run } from "/run.js";

const PEOPLE = ["ann", "bob"];

// What people write becomes the input of the room's agent. Others get it as `text`.
const INPUTS = {
  summarize: { label: "Text (empty: the inbox)", input: (text) => (text ? { text } : {}) },
  research: { label: "Customers, such as: Acme, Globex", input: (text) => ({ customers: text.split(",").map((name) => name.trim()) }) },
  model: { label: "Say something", input: (text) => text },
};
const OTHER = { label: "Text", input: (text) => ({ text }) };

class Pane {
  #parts;
  #consumer;
  #room;
  #agent;
  #tree;
  #events;
  #runs = new Map();

  constructor(name) {
    const pane = copyOf("pane");
    this.#parts = partsOf(pane, ["h2", ".status", ".here", ".start", ".start span", ".start output", ".runs"]);
    this.#parts.h2.textContent = name;
    pane.ariaLabel = `What ${name} sees`;
    document.getElementById("panes").append(pane);
    onSubmit(this.#parts[".start"], ({ input }) => this.#start(input));
    this.#consumer = connect({
      url: `/slop?token=${name}`,
      onStatus: (status) => { this.#parts[".status"].textContent = status; },
    });
  }

  // Which rooms there are; each has a name and the agent that works there.
  watchRooms(show) {
    this.#consumer.subscribe("/rooms", { depth: 2 }, (tree) => show(tree?.children ?? []));
  }

  async create(title, agent) {
    const { data } = await this.#consumer.invoke("/rooms", "create", { title, agent, access: "project", replayable: true });
    return data.room;
  }

  // Leaves the room where it was, and joins another one.
  enter(room) {
    this.#events?.return();
    this.#tree?.close();
    this.#parts[".runs"].replaceChildren();
    this.#runs.clear();
    this.#room = room;
    this.#events = this.#consumer.events(room);
    this.#listen(this.#events);
    this.#tree = this.#consumer.subscribe(`/rooms/${room}`, {}, (tree, { kind }) => this.#show(tree, kind));
  }

  // The tree says which runs there are, how they stand, and what this person may do with each.
  #show(tree, kind) {
    const part = (id) => tree?.children?.find((child) => child.id === id)?.children ?? [];
    this.#agent = tree?.properties.agent;
    this.#parts[".start span"].textContent = (INPUTS[this.#agent] ?? OTHER).label;
    this.#parts[".here"].textContent = `with ${part("participants").map(({ properties }) => properties.name).join(", ")}`;
    const nodes = part("runs");
    for (const node of nodes) this.#run(node.id).show(node);
    // Not a patch: it has just come into the room, or was without a network.
    if (kind !== "patch") this.#catchUp();
    // The oldest that have ended are not kept.
    for (const [id, run] of this.#runs) {
      if (run.isKnown && !nodes.some((node) => node.id === id)) this.#forget(id, run);
    }
  }

  #forget(id, run) {
    run.element.remove();
    this.#runs.delete(id);
  }

  // The events say what runs do: they bring each piece of text as it is written.
  async #listen(events) {
    try {
      for await (const { kind, body } of events) {
        if (body.run) this.#run(body.run).take(kind, body);
        if (kind === "room.gap") this.#catchUp();
      }
    } catch ({ message }) {
      this.#parts[".status"].textContent = message;
    }
  }

  // Events are missing, so what they have brought to others is read.
  #catchUp() {
    this.#runs.forEach((run) => run.read());
  }

  #run(id) {
    if (!this.#runs.has(id)) {
      const path = `/rooms/${this.#room}/runs/${id}`;
      const run = new Run(copyOf("run"), (action, params) => this.#consumer.invoke(path, action, params));
      this.#parts[".runs"].prepend(run.element);
      this.#runs.set(id, run);
    }
    return this.#runs.get(id);
  }

  #start(text) {
    const { input } = INPUTS[this.#agent] ?? OTHER;
    return this.#consumer.invoke(`/rooms/${this.#room}`, "run", { input: input(text) });
  }
}

function copyOf(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

function partsOf(element, selectors) {
  return Object.fromEntries(selectors.map((selector) => [selector, element.querySelector(selector)]));
}

// What is refused stays in the form, with the reason below it.
function onSubmit(form, send) {
  const output = form.querySelector("output");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send(Object.fromEntries(new FormData(form)));
      output.textContent = "";
      form.reset();
    } catch ({ message }) {
      output.textContent = message;
    }
  });
}

// ------------------------------------------------------------------------------------------------ the page

const as = new URLSearchParams(location.search).get("as");
const panes = PEOPLE.filter((name) => !as || as === name).map((name) => new Pane(name));
const room = () => decodeURIComponent(location.hash.slice(1)) || "summarize";

const links = new Map();

function enter() {
  for (const pane of panes) pane.enter(room());
  mark();
}

function mark() {
  for (const [id, link] of links) {
    if (id === room()) link.ariaCurrent = "page";
    else link.removeAttribute("aria-current");
  }
}

// Links stay the same, so that none loses the focus.
function showRooms(rooms) {
  for (const { id, properties } of rooms) {
    if (!links.has(id)) links.set(id, addLink(id));
    links.get(id).textContent = properties.title || id;
  }
  for (const [id, link] of links) {
    if (rooms.some((shown) => shown.id === id)) continue;
    link.parentElement.remove();
    links.delete(id);
  }
  mark();
}

function addLink(id) {
  const link = document.createElement("a");
  link.href = `#${encodeURIComponent(id)}`;
  const item = document.createElement("li");
  item.append(link);
  document.getElementById("rooms").append(item);
  return link;
}

panes[0].watchRooms(showRooms);
onSubmit(document.getElementById("new-room"), async ({ title, agent }) => {
  location.hash = encodeURIComponent(await panes[0].create(title, agent));
});
window.addEventListener("hashchange", enter);
enter();
