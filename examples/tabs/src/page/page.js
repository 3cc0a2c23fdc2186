import { publish } from "/slop/tab.js";

const tab = publish({ name: document.title, onRefresh: showNotice });

const routes = ["/inbox", "/compose"];
const draft = document.getElementById("draft");
const mails = [...document.querySelectorAll("#inbox input")];

function showRoute() {
  const path = routes.find((route) => location.hash === `#${route}`) ?? routes[0];
  for (const section of document.querySelectorAll("section")) section.hidden = path !== `/${section.id}`;
  for (const link of document.querySelectorAll("nav a")) link.toggleAttribute("aria-current", link.hash === `#${path}`);
  tab.set("route", {
    type: "status",
    props: { path },
    meta: { focus: document.hasFocus() },
    actions: {
      navigate: {
        description: "Shows another part of the page",
        params: { to: { type: "string", enum: routes } },
        handler: navigate,
      },
    },
  });
}

// `hashchange` comes later, but what an action did must be published before it returns: then the AI sees it first.
function navigate({ to }) {
  location.hash = to;
  showRoute();
}

function showSelection() {
  const selected = mails.filter((mail) => mail.checked);
  tab.set("selection", {
    type: "collection",
    props: { count: selected.length },
    items: selected.map((mail) => ({ id: mail.id, props: { subject: mail.labels[0].textContent.trim() } })),
  });
}

function showDraft() {
  tab.set("compose/draft", {
    type: "document",
    props: { text: draft.value },
    actions: { fill: { description: "Replaces the text", params: { text: "string" }, handler: fill } },
  });
}

function fill({ text }) {
  draft.value = text;
  showDraft();
}

async function showNotice() {
  const answer = await fetch("/notice");
  document.getElementById("notice").textContent = await answer.text();
}

for (const event of ["hashchange", "focus", "blur"]) addEventListener(event, showRoute);
draft.addEventListener("input", showDraft);
for (const mail of mails) mail.addEventListener("change", showSelection);
showRoute();
showSelection();
showDraft();
showNotice();
