import { connect } from "/slop/consumer.js";

const KEPT = 20;

const [status, tree, changes, text, answer] = ["status", "tree", "changes", "text", "answer"].map((id) => document.getElementById(id));

const consumer = connect({
  onStatus: (now) => { status.textContent = now; },
  onEnd: ({ why }) => { status.textContent = `ended: ${why}`; },
});

consumer.subscribe("/", {}, (copy, { kind }) => {
  tree.textContent = JSON.stringify(copy, null, 2);
  changes.append(Object.assign(document.createElement("li"), { textContent: kind }));
  if (changes.children.length > KEPT) changes.firstChild.remove();
});

document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { status } = await consumer.invoke("/notice", "say", { text: text.value });
    answer.textContent = status;
  } catch ({ code, message }) {
    answer.textContent = `${code}: ${message}`;
  }
});
