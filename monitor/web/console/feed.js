// All calls and alerts as they stand now: asked for once, then kept up to date by one event stream.
import { follow, get } from "./api.js";

const KINDS = "call,verdict,alert,paused,resumed";
const MOST_ALERTS = 1000;
const GONE = 120_000; // Milliseconds for which an ended call stays on the list.

export const calls = new Map();
export const alerts = new Map(); // By id: the latest message about it.
export const reviews = new Map(); // By alert id: the latest review.
export const status = { state: "connecting", detail: "", loaded: false };
const listeners = new Set();
let pending = null, running = null;

export function listen(heard) {
  listeners.add(heard);
  return () => listeners.delete(heard);
}

// Many events, one redraw: a screen needs no more than a few a second.
function changed() {
  pending ??= setTimeout(() => { pending = null; listeners.forEach((heard) => heard()); }, 250);
}

export function start() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  follow({ events: KINDS }, signal, take, (state, detail = "") => {
    status.state = state;
    status.detail = detail;
    if (state === "live") load(signal).catch((error) => fail(error));
    changed();
  });
}

function fail(error) {
  if (error.name === "AbortError") return;
  status.state = [401, 403].includes(error.status) ? "refused" : "away";
  status.detail = error.message;
  changed();
}

async function load(signal) {
  const [known, messages, said] = await Promise.all([
    get("/api/v1/calls?limit=200", signal), get("/api/v1/alerts?limit=300", signal), get("/api/v1/reviews?limit=1000", signal),
  ]);
  calls.clear();
  for (const call of known) calls.set(call.id, call);
  for (const message of messages.reverse()) remember(message);
  for (const review of said.reverse()) reviews.set(review.alert, review);
  status.loaded = true;
  changed();
}

export async function refresh(id) {
  try {
    calls.set(id, { ...(await get(`/api/v1/calls/${id}`)), seenAt: performance.now() });
  } catch (error) {
    if (error.status === 404) calls.delete(id);
  }
  changed();
}

export function reviewed(review) {
  reviews.set(review.alert, review);
  changed();
}

function remember(message) {
  alerts.delete(message.id);
  alerts.set(message.id, message);
  while (alerts.size > MOST_ALERTS) alerts.delete(alerts.keys().next().value);
}

function take(event, data) {
  const call = calls.get(data.call);
  if (event === "missed") return void load(running.signal).catch(fail);
  if (event === "alert") {
    remember(data);
    document.dispatchEvent(new CustomEvent("raised", { detail: data }));
  } else if (event === "call" && data.state === "ended" && call) {
    call.ended = data.reason;
    setTimeout(() => { calls.delete(call.id); changed(); }, GONE);
  } else if (!call || event !== "verdict") {
    if (event !== "call" || data.state === "started") refresh(data.call);
  } else {
    const who = call.participants.find((p) => p.name === data.participant);
    if (!who) return void refresh(data.call);
    who.verdict = data;
    call.seenAt = performance.now();
  }
  changed();
}
