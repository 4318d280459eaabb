// Alerts that wait for somebody's judgement, and those that have it.
import { post } from "./api.js";
import { details, h, list, say } from "./dom.js";
import { bundles } from "./evidence.js";
import * as feed from "./feed.js";
import { badge, empty } from "./marks.js";
import { alertType, clock, number, OUTCOMES, rarity, todo, unmonitored } from "./words.js";

export const open = () => [...feed.alerts.values()].filter((alert) => !feed.reviews.has(alert.id));

export function alertsPage(main) {
  const cards = new Map();
  const waiting = h("ol", { class: "alerts", id: "alerts" }), done = h("ol", { class: "alerts quiet", id: "reviewed" });
  const none = empty(""), past = h("section", {}, h("h2", {}, "Reviewed"), done);
  main.replaceChildren(h("h1", { tabindex: "-1" }, "Alerts"),
    h("p", { class: "lead" }, "An alert is a reason to look, not proof of fraud. What you find here makes the next calibration better."),
    none, waiting, past);

  function draw() {
    const newest = [...feed.alerts.values()].reverse();
    const queue = newest.filter((alert) => !feed.reviews.has(alert.id)).sort((a, b) => weight(b) - weight(a));
    const judged = newest.filter((alert) => feed.reviews.has(alert.id)).slice(0, 50);
    none.hidden = queue.length > 0;
    say(none, feed.status.loaded ? "No alert waits for a review. New ones appear here by themselves." : "Asking for alerts…");
    past.hidden = judged.length === 0;
    list(waiting, queue.map((alert) => card(cards, alert)));
    list(done, judged.map((alert) => card(cards, alert)));
  }
  const stop = feed.listen(draw);
  draw();
  return { title: "Alerts", close: stop };
}

const weight = (alert) => (alert.tier === "alert" ? 2 : 0) + (alert.action === "cleared" ? 0 : 1);

function card(cards, alert) {
  const known = cards.get(alert.id), review = feed.reviews.get(alert.id);
  if (known && known.key === alert.idempotency_key && known.review === review) return known.item;
  const item = make(alert, review);
  cards.set(alert.id, { item, key: alert.idempotency_key, review });
  return item;
}

function make(alert, review) {
  const v = alert.verdict, evidence = h("div", { class: "evidence" });
  const kept = details("Evidence", evidence);
  kept.addEventListener("toggle", () => kept.open && bundles(evidence, alert.id), { once: true });
  const unheard = unmonitored(v.seconds);
  const call = feed.calls.get(alert.call);
  return h("li", { class: "panel", "data-alert": alert.id },
    h("div", { class: "title" }, h("h3", {}, h("a", { href: `#/calls/${encodeURIComponent(alert.call)}` }, call?.label || alert.participant)), badge(alert.tier)),
    h("p", { class: "hint" }, `${new Date(alert.raised_at).toLocaleString()}: ${alert.action}, because of ${alertType(alert.type)}, suspicious from ${clock(alert.span.start)} to ${clock(alert.span.end)}`),
    h("p", {}, todo(alert.tier, alert), " ", rarity(v.p_value)),
    h("p", {}, alert.certified ? "The false-alarm rate of this line is certified." : "The false-alarm rate of this line is not certified yet: expect false alarms.",
      ` ${Math.round(unheard)} s of the call were not monitored.`),
    details("Numbers", h("p", {}, `Statistic ${number(v.statistic)}; lines ${Object.entries(v.thresholds ?? {}).map(([tier, at]) => `${tier} ${number(at)}`).join(", ") || "–"}; p-value ${number(v.p_value, 4)}; ${alert.evidence.length} windows; models ${Object.entries(alert.models).map(([name, model]) => `${name} ${model}`).join(", ")}; calibration ${alert.calibration}.`)),
    kept,
    review ? verdictOf(review, alert) : form(alert));
}

function verdictOf(review, alert) {
  const again = h("div", {});
  return h("div", {}, h("p", { class: "reviewed" }, `✓ ${OUTCOMES[review.outcome] ?? review.outcome}: ${review.reason} (${review.by}, ${new Date(review.at).toLocaleString()})`),
    h("button", { onclick: (event) => { event.target.hidden = true; again.replaceChildren(form(alert)); } }, "Review again"), again);
}

function form(alert) {
  const reason = h("input", { type: "text", maxlength: 2000, id: `reason-${alert.id}` });
  const problem = h("p", { class: "problem", role: "alert" });
  const buttons = Object.entries(OUTCOMES).map(([outcome, name]) => h("button", { "data-outcome": outcome, onclick: () => send(outcome) }, name));

  async function send(outcome) {
    buttons.forEach((button) => { button.disabled = true; });
    try {
      const why = reason.value.trim() || "no reason given";
      feed.reviewed(await post("/api/v1/reviews", { alert: alert.id, outcome, reason: why }));
    } catch (error) {
      say(problem, error.message);
      buttons.forEach((button) => { button.disabled = false; });
    }
  }
  return h("div", { class: "finding" },
    h("label", { for: reason.id }, "What did you find, and how do you know?"), reason,
    h("div", { class: "row", role: "group", "aria-label": "Your finding" }, buttons), problem);
}
