// The sections of a page: sends their forms without leaving the page, and fetches a section when it has changed.
export const main = document.querySelector("main");
const notice = document.getElementById("notice");

// A section is fetched at most once at a time; a change that arrives meanwhile fetches it once more.
const loading = new Map();

export function load(name) {
  if (loading.has(name)) {
    loading.set(name, "again");
    return;
  }
  loading.set(name, "once");
  fetchSection(name)
    .catch(() => say("The desk does not respond."))
    .finally(() => {
      const again = loading.get(name) === "again";
      loading.delete(name);
      if (again) load(name);
    });
}

async function fetchSection(name) {
  const response = await fetch(`/sections/${name}?from=${main.dataset.from}`);
  if (response.status === 401) return location.assign("/login");
  if (!response.ok) throw new Error(response.statusText);
  show(document.getElementById(name), await response.text());
}

export function loadAll() {
  for (const area of main.querySelectorAll(".area[id]")) load(area.id);
}

// Puts new content in a section and keeps the person's state: open messages, typed text, the cursor.
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
  const fields = new FormData(form, submitter);
  // Whoever writes one line after the other does not wait for the server.
  const isLine = form.matches("[data-line]");
  if (isLine) form.reset();
  const body = new URLSearchParams(fields);
  const response = await fetch(form.action, { method: "POST", body, redirect: "manual" });
  if (response.status === 401) return location.assign("/login");
  // The response to a write is a redirect to the page on which we already are.
  if (response.type !== "opaqueredirect" && !response.ok) {
    say(await response.text());
    if (isLine) giveBack(form, fields);
  } else if (!isLine) {
    form.reset();
  }
  const area = form.closest(".area[id]");
  if (area) load(area.id);
}

// What was refused can be corrected, unless the person has gone on.
function giveBack(form, fields) {
  for (const [name, value] of fields) {
    const field = form.elements[name];
    if (field?.value === "") field.value = value;
  }
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
  send(event.target, event.submitter).catch(() => say("The desk does not respond."));
});

main.addEventListener("change", (event) => {
  if (event.target.matches("[data-on-change]")) event.target.form.requestSubmit();
});

// Opening an unread message reads it. `toggle` does not bubble, so it is caught on the way down.
main.addEventListener("toggle", (event) => {
  if (event.target.open) event.target.querySelector("form[data-on-open]")?.requestSubmit();
}, true);
