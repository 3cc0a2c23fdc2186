// Keeps the page live: it hears of each section that has changed.
import { load, loadAll, main } from "/sections.js";

// All tabs of one login share one stream of changes: a browser opens only six connections to a server, and each stream
// keeps one. The tab that holds the lock listens and tells the others; when it is closed, the next one takes over.
const name = `desk-changes-${main.dataset.login}`;
const others = new BroadcastChannel(name);
others.onmessage = (message) => take(message.data);

function take(change) {
  if (change === "all") loadAll();
  else load(change);
}

function announce(change) {
  take(change);
  others.postMessage(change);
}

// `missed`: whether changes may have gone unheard before the stream was open.
function listen(missed) {
  const events = new EventSource("/events");
  events.onopen = () => {
    if (missed) announce("all");
    missed = true;
  };
  events.onmessage = (event) => announce(event.data);
  // After a logout the stream gets a 401 and is not retried: the pages find out by asking.
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) announce("settings"); };
}

// Never settles, so the lock is held for as long as the tab lives.
const hold = (missed) => { listen(missed); return new Promise(() => {}); };

if (navigator.locks) {
  navigator.locks.request(name, { ifAvailable: true }, (lock) => lock && hold(false))
    .then(() => navigator.locks.request(name, () => hold(true)));
} else {
  // Locks need HTTPS or this machine; elsewhere each tab has a stream of its own.
  listen(false);
}
