// What judges, what has been shown about its false alarms, and whether calls still look the same.
import { get } from "./api.js";
import { details, h, table } from "./dom.js";
import { empty } from "./marks.js";
import { alertType, detector, number, rate } from "./words.js";

export function modelsPage(main) {
  const stop = new AbortController(), body = h("div", {}, empty("Asking…"));
  main.replaceChildren(h("h1", { tabindex: "-1" }, "Models and certificates"), body);
  load(body, stop.signal).catch((error) => {
    if (error.name !== "AbortError") body.replaceChildren(empty(`${error.message} Open this page again to retry.`));
  });
  return { title: "Models", close: () => stop.abort() };
}

async function load(body, signal) {
  const [known, drift, shadow] = await Promise.all([
    get("/api/v1/models", signal), get("/api/v1/drift", signal), get("/api/v1/shadow?limit=20", signal),
  ]);
  body.replaceChildren(
    h("section", { class: "panel" }, h("h2", {}, "Certificates"),
      Object.keys(known.certificates).length ? Object.entries(known.certificates).map(certificate)
        : empty("No policy is installed: nothing can alarm. Run deepfake-monitor calibrate.")),
    h("section", { class: "panel" }, h("h2", {}, "Models"),
      table("Models in use", ["Detector", "Version"], Object.entries(known.models.detectors).map(([name, version]) =>
        [detector(name), version === "none" ? "no model: measured, never judged" : version])),
      details("Files", table("Files and their SHA-256", ["Model", "SHA-256"], Object.entries(known.models.files).map(([name, file]) => [name, h("code", {}, file.sha256)])))),
    h("section", { class: "panel" }, h("h2", {}, "Do calls still look like those of the calibration?"), Object.entries(drift.types).map(drifted),
      table("Share of recent windows that could not be judged", ["Detector", "Not judged", "Windows"], Object.entries(drift.abstained).map(([name, a]) =>
        [detector(name), `${(100 * a.ratio).toFixed(0)} %`, a.windows]))),
    h("section", { class: "panel" }, h("h2", {}, "Challenger"), challenger(shadow)));
}

function certificate([type, c]) {
  return h("article", {}, h("h3", {}, `Alerts because of ${alertType(type)}`),
    Object.entries(c.tiers).map(([tier, t]) => h("div", { class: "certificate" },
      h("p", {}, h("strong", {}, t.certified ? `✓ ${tier}: certified. ` : `✗ ${tier}: not certified. `), promise(t)),
      details("Numbers", table(`${tier}, figures`, ["Figure", "Value"], [
        ["Budget, false alarms an hour", number(t.budget_per_hour)], ["Shown at most (95 %), an hour", number(t.bound_per_hour)],
        ["Genuine calls tested", t.calls], ["Hours of them", number(t.hours, 1)], ["False alarms among them", t.alarms],
        ["Lines set by", t.basis === "conformal" ? "genuine calls" : "simulated calls"],
        ...Object.entries(t.thresholds).map(([kind, at]) => [`Line, ${kind} calls`, number(at)]),
      ])))),
    h("p", { class: "hint" }, `Tested on ${c.source}; ${c.date}; model ${c.model}, calibration ${c.identity}.`));
}

function promise(t) {
  const wanted = `It is meant to raise at most ${rate(t.budget_per_hour)} of genuine calls by mistake`;
  const tested = `${t.alarms} of ${t.calls} genuine calls (${number(t.hours, 1)} hours) alarmed in the test`;
  if (t.certified) return `${wanted}, and the test shows that with 95 % confidence: ${tested}.`;
  return `${wanted}. That has not been shown: ${tested}, which can rule out no better than ${t.bound_per_hour === null ? "nothing" : rate(t.bound_per_hour)}. Test with more genuine calls of your own.`;
}

function drifted([type, d]) {
  const measures = Object.entries(d.stability_index).filter(([, index]) => index !== null);
  const far = measures.filter(([, index]) => index > 0.25), log = d.martingale_log10;
  const words = d.calls < 20 ? `Too few calls to say (${d.calls} of 20).`
    : far.length || log >= 2 ? `▲ No: ${far.map(([name]) => name.replaceAll("_", " ")).join(", ") || "their scores"} differ. Calibrate to your own genuine calls.`
      : "● Yes, as far as the measures tell.";
  return h("div", {}, h("h3", {}, `Seen by ${alertType(type)}`), h("p", {}, words),
    details("Numbers", h("p", {}, `${d.calls} calls; martingale 10^${number(log)}; stability index: ${measures.map(([name, index]) => `${name.replaceAll("_", " ")} ${number(index)}`).join(", ") || "none yet"}. Above 0.25 is a clear shift.`)));
}

function challenger(shadow) {
  if (!shadow.challenger) return empty("None runs. Set challenger_dir to compare a second set of models on the same calls, without delivering its alerts.");
  const { windows, calls } = shadow;
  return h("div", {}, h("p", {}, `Disagreed in ${windows.disagreed} of ${windows.compared} windows and in ${calls.disagreed} of ${calls.compared} calls.`),
    table("Latest disagreements", ["Call", "Service", "Challenger"], shadow.disagreements.map((d) =>
      [h("a", { href: `#/calls/${encodeURIComponent(d.call)}` }, d.participant), d.latest.champion.state, d.latest.challenger.state])));
}
