// Keeps the page live: sends its forms without leaving it, and shows a section again when the desk says it changed.
"use strict";

const main = document.querySelector("main");
const notice = document.getElementById("notice");

// A section is fetched at most once at a time; a change that comes meanwhile fetches it once more.
const loading = new Map();

function load(name) {
  if (loading.has(name)) {
    loading.set(name, "again");
    return;
  }
  loading.set(name, "once");
  fetchSection(name)
    .catch(() => say("The desk does not answer."))
    .finally(() => {
      const again = loading.get(name) === "again";
      loading.delete(name);
      if (again) load(name);
    });
}

async function fetchSection(name) {
  const answer = await fetch(`/sections/${name}?from=${main.dataset.from}`);
  if (answer.status === 401) return location.assign("/login");
  if (!answer.ok) throw new Error(answer.statusText);
  show(document.getElementById(name), await answer.text());
}

function loadAll() {
  for (const area of main.querySelectorAll(".area[id]")) load(area.id);
}

// Puts new content in a section and keeps what the person is in the middle of: open messages, typed text, the cursor.
function show(section, html) {
  const open = [...section.querySelectorAll("details[open]")].map((details) => details.id);
  const typed = [...section.querySelectorAll("input[id], textarea[id]")].filter((field) => field.value !== field.defaultValue);
  const active = section.contains(document.activeElement) ? document.activeElement : null;
  section.innerHTML = html;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  for (const field of typed) {
    const now = document.getElementById(field.id);
    if (now) now.value = field.value;
  }
  const again = active?.id && document.getElementById(active.id);
  if (again) {
    again.focus();
    if (again.type === "text" || again.tagName === "TEXTAREA") again.setSelectionRange(active.selectionStart, active.selectionEnd);
  }
  const theme = section.querySelector("[data-theme-now]");
  if (theme) document.documentElement.dataset.theme = theme.dataset.themeNow;
  main.dispatchEvent(new Event("shown"));
}

async function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
  if (answer.status === 401) return location.assign("/login");
  // The answer to a write is a redirect to the page we are already on.
  if (answer.type !== "opaqueredirect" && !answer.ok) say(await answer.text());
  else form.reset();
  const area = form.closest(".area[id]");
  if (area) load(area.id);
}

let quiet;
function say(sentence) {
  notice.textContent = sentence;
  notice.hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => { notice.hidden = true; }, 5000);
}

main.addEventListener("submit", (event) => {
  event.preventDefault();
  send(event.target, event.submitter).catch(() => say("The desk does not answer."));
});

main.addEventListener("change", (event) => {
  if (event.target.matches("[data-on-change]")) event.target.form.requestSubmit();
});

// Opening an unread message reads it. `toggle` does not bubble, so it is caught on the way down.
main.addEventListener("toggle", (event) => {
  if (event.target.open) event.target.querySelector("form[data-on-open]")?.requestSubmit();
}, true);

const events = new EventSource("/events");
let wasOpen = false;
events.onopen = () => {
  if (wasOpen) loadAll();
  wasOpen = true;
};
events.onmessage = (event) => (event.data === "all" ? loadAll() : load(event.data));
// After a logout the stream answers 401 and is not tried again: the page finds out by asking.
events.onerror = () => { if (events.readyState === EventSource.CLOSED) load("settings"); };
