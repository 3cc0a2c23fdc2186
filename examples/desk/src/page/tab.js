// Publishes what only the page knows, for the person's own AI: where they are, which messages are open, what they write.
import { publish } from "/slop/tab.js";

const main = document.querySelector("main");
const areas = [...main.querySelectorAll(".area[id]")].map((area) => area.id);
const tab = publish({ name: document.title });

function showRoute() {
  const area = areas.find((id) => location.hash === `#${id}`) ?? areas[0];
  tab.set("route", {
    type: "status",
    props: { area, inbox_from: Number(main.dataset.from) },
    meta: { focus: document.hasFocus() },
    actions: {
      navigate: {
        description: "Scrolls to an area of the desk, and opens a message there",
        params: { to: { type: "string", enum: areas }, message: { type: "string", optional: true } },
        handler: navigate,
      },
    },
  });
}

function navigate({ to, message }) {
  if (message !== undefined) {
    const details = document.getElementById(message);
    if (!details?.matches("details.message")) throw notFound("the page shows no such message");
    details.open = true;
    location.hash = to;
    details.scrollIntoView();
  } else {
    location.hash = to;
  }
  showAll();
}

function notFound(sentence) {
  return Object.assign(new Error(sentence), { code: "not_found" });
}

function showSelection() {
  const open = [...main.querySelectorAll("details.message[open]")];
  tab.set("selection", {
    type: "collection",
    props: { count: open.length },
    items: open.map(({ id }) => ({ id, props: { path: `/inbox/${id}` } })),
  });
}

// Every text field is a draft: a new task, a new card, a reply.
function showDrafts() {
  const fields = [...main.querySelectorAll("textarea[aria-label], input[aria-label]:not([type=date])")];
  const shown = fields.filter((field) => field.value !== "" || field.checkVisibility());
  tab.set("drafts", {
    type: "collection",
    props: { count: shown.filter((field) => field.value !== "").length },
    items: shown.map((field) => ({
      id: field.id,
      props: { label: field.ariaLabel, text: field.value },
      actions: {
        fill: {
          description: "Writes into the field; the person decides whether to send it",
          params: { text: "string" },
          handler: ({ text }) => {
            // The section may have been shown again since, with other elements.
            const now = document.getElementById(field.id);
            if (!now) throw notFound("the page does not show this field any more");
            now.value = text.slice(0, now.maxLength);
            showDrafts();
          },
        },
      },
    })),
  });
}

function showAll() {
  showRoute();
  showSelection();
  showDrafts();
}

for (const event of ["hashchange", "focus", "blur"]) addEventListener(event, showRoute);
main.addEventListener("input", showDrafts);
main.addEventListener("toggle", showAll, true);
main.addEventListener("reset", () => setTimeout(showDrafts));
main.addEventListener("shown", showAll);
showAll();
