// The calls of this service, the riskiest first.
import { h, list, say } from "./dom.js";
import * as feed from "./feed.js";
import { badge, lost } from "./marks.js";
import { clock, ending, GRAVITY, ingest, unmonitored } from "./words.js";

export function callsPage(main) {
  const rows = new Map();
  const body = h("ul", { class: "calls", id: "calls" });
  const empty = h("div", { class: "empty" });
  const ended = h("ul", { class: "calls quiet", id: "ended" });
  const past = h("section", { "aria-labelledby": "past" }, h("h2", { id: "past" }, "Ended a moment ago"), ended);
  const hint = h("p", { class: "lead" }, "The riskiest first. The bar shows how far a call has come on the way to the alert line.");
  main.replaceChildren(
    h("h1", { tabindex: "-1" }, "Live calls"), hint, empty, body, past);

  function draw() {
    const known = [...feed.calls.values()];
    const live = known.filter((call) => call.ended === null).sort(byRisk);
    const over = known.filter((call) => call.ended !== null).slice(0, 8);
    for (const id of rows.keys()) if (!feed.calls.has(id)) rows.delete(id);
    list(body, live.map((call) => row(rows, call)));
    list(ended, over.map((call) => row(rows, call)));
    past.hidden = over.length === 0;
    empty.hidden = live.length > 0;
    hint.hidden = live.length === 0;
    say(empty, !feed.status.loaded ? "Asking for calls…"
      : "No call is monitored just now. Send one by WHIP, RTSP or telephone, or bring one in below.");
  }
  const stop = feed.listen(draw), tick = setInterval(draw, 1000);
  draw();
  return { title: "Calls", close() { stop(); clearInterval(tick); } };
}

// The participant by which a call is listed: the one in the gravest state.
export function worst(call) {
  return [...call.participants].sort((a, b) => risk(b.verdict) - risk(a.verdict))[0];
}

function risk(verdict) {
  if (!verdict) return -1;
  const line = verdict.thresholds?.alert ?? 5;
  return 100 * GRAVITY.indexOf(verdict.state) + 10 * Math.min(9, Math.max(0, share(verdict.statistic, line)));
}

// How far the statistic has come on the way to the alert line, 0 to more than 1.
function share(statistic, line) {
  return statistic === null ? 0 : (statistic + 4) / (line + 4);
}

const order = (call) => risk(worst(call)?.verdict);
const byRisk = (a, b) => order(b) - order(a) || (a.started_at < b.started_at ? 1 : -1);

export function age(call, verdict) {
  if (call.ended !== null) return verdict?.time ?? 0;
  if (verdict && call.seenAt) return verdict.time + (performance.now() - call.seenAt) / 1000;
  return call.started_at ? (Date.now() - Date.parse(call.started_at)) / 1000 : 0;
}

function row(rows, call) {
  if (!rows.has(call.id)) rows.set(call.id, make(call));
  const { item, parts } = rows.get(call.id);
  const who = worst(call), verdict = who?.verdict ?? null;
  const state = verdict?.state ?? "warming";
  if (parts.badge.dataset.state !== state) {
    const fresh = badge(state);
    parts.badge.replaceWith(fresh);
    parts.badge = fresh;
    parts.meter.dataset.state = state;
  }
  say(parts.name, call.label || who?.name || "unnamed");
  say(parts.how, `${call.label && who ? `${who.name}, ` : ""}${ingest(call.ingest)}`);
  say(parts.timer, clock(age(call, verdict)));
  say(parts.unheard, `${Math.round(unmonitored(verdict?.seconds))} s not monitored`);
  const paused = call.participants.some((p) => p.paused);
  say(parts.note, call.ended !== null ? ending(call.ended) : paused ? "paused" : who?.allowed ? "synthetic voice allowed" : "");
  const line = verdict?.thresholds?.alert ?? 5;
  parts.meter.value = Math.min(1, Math.max(0, share(verdict?.statistic ?? null, line)));
  return item;
}

function make(call) {
  const parts = {
    badge: badge("warming"), name: h("strong", {}), how: h("span", { class: "hint" }),
    timer: h("span", { class: "timer" }), unheard: h("span", {}), note: h("span", { class: "note" }),
    meter: h("meter", { min: 0, max: 1, high: 0.85, "aria-label": "How far on the way to the alert line" }),
  };
  const item = h("li", {},
    h("a", { href: `#/calls/${encodeURIComponent(call.id)}`, "data-call": call.id },
      h("span", { class: "who" }, parts.name, " ", parts.how),
      parts.badge,
      h("span", { class: "times" }, h("span", { class: "unseen" }, "length "), parts.timer, h("span", { class: "unheard" }, lost(), parts.unheard), parts.note),
      parts.meter));
  return { item, parts };
}
