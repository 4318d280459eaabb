// One call: where it stands, why, and what was not monitored.
import { ask, follow, get } from "./api.js";
import { age } from "./calls.js";
import { details, h, say, table } from "./dom.js";
import { Cues, Face } from "./face.js";
import * as feed from "./feed.js";
import { Lanes } from "./lanes.js";
import { badge, empty, legend } from "./marks.js";
import { Spectrogram } from "./spectrogram.js";
import { drawStatistic, tellStatistic } from "./statistic.js";
import { Stretch, Track } from "./track.js";
import { alertType, clock, ending, ingest, number, pause, rarity, reason, STATES, todo, unmonitored } from "./words.js";

const DRAW_EVERY = 500, LOOK_EVERY = 1000;

export function callPage(main, id) {
  const page = new CallPage(id);
  main.replaceChildren(page.element);
  page.open().catch((error) => {
    if (error.name !== "AbortError") page.fail(error);
  });
  return page;
}

class CallPage {
  constructor(id) {
    this.id = id;
    this.title = "Call";
    this.stop = new AbortController();
    this.tracks = new Map();
    this.paused = new Map(); // Why, by participant.
    this.chosen = null;
    this.stretch = new Stretch(60);
    this.lanes = new Lanes();
    this.sound = new Spectrogram();
    this.face = new Face();
    this.cues = new Cues();
    this.element = h("div", { class: "call" });
    this.build();
  }

  build() {
    this.name = h("h1", { tabindex: "-1" }, "Call");
    this.badge = badge("warming", "state");
    this.says = h("p", { id: "state-words", class: "says", role: "status" });
    this.rare = h("p", {});
    this.facts = h("p", { class: "hint" });
    this.who = h("select", { id: "participant", onchange: () => this.choose(this.who.value) });
    this.whose = h("label", { hidden: true }, "Participant ", this.who);
    this.window = h("select", { id: "stretch", onchange: () => { this.stretch.seconds = Number(this.window.value); this.draw(); } },
      [["60", "last minute"], ["120", "last 2 minutes"], ["600", "last 10 minutes"], ["0", "whole call"]].map(([value, text]) =>
        h("option", { value, selected: value === "60" }, text)));
    this.chart = h("canvas", { role: "img", id: "chart" });
    this.scored = h("dd", { id: "scored" }, "0");
    this.unheard = h("dd", { id: "unmonitored" }, "0");
    this.timer = h("dd", { id: "timer" }, "0:00");
    this.why = h("p", { class: "hint" });
    this.numbers = h("p", {});
    this.windows = h("div", {});
    this.more = details("Windows as a table", this.windows);
    this.end = h("button", { id: "end-call", onclick: () => this.finish() }, "Stop monitoring this call");
    this.problem = h("p", { role: "alert", class: "problem" });
    this.element.replaceChildren(
      h("p", { class: "back" }, h("a", { href: "#/" }, "‹ All calls")),
      h("div", { class: "title" }, this.name, this.badge), this.facts, this.says, this.rare,
      h("dl", { class: "tiles" }, tile("Length of the call", this.timer), tile("Seconds judged", this.scored), tile("Seconds not monitored", this.unheard)),
      this.why, this.problem,
      h("div", { class: "row" }, this.whose, h("label", {}, "Show ", this.window), this.end),
      h("section", { class: "panel" }, h("h2", {}, "Suspicion over time"), this.chart,
        details("What the lines mean", h("p", {}, "Above the review line a call is unusual enough to verify by another channel; above the alert line, to bring in somebody who decides. The lines are set so that genuine calls rarely cross them; the Models page says how rarely, and how well that has been shown."), this.numbers)),
      h("section", { class: "panel" }, h("h2", {}, "Window by window"), legend(), this.lanes.element, this.more),
      h("div", { class: "pair" }, this.sound.element, this.face.element), this.cues.element);
  }

  async open() {
    const { signal } = this.stop;
    const call = await get(`/api/v1/calls/${this.id}`, signal);
    if (!feed.calls.has(this.id)) feed.calls.set(this.id, call);
    this.call = call;
    for (const who of call.participants) {
      const track = this.track(who.name);
      if (who.verdict) track.verdict = who.verdict;
      if (who.paused) this.paused.set(who.name, who.paused.reason);
    }
    get("/api/v1/models", signal).then((known) => this.lanes.judge(known.certificates)).catch(() => {});
    const waiting = [];
    let known = false;
    const heard = (event, data) => (known ? this.take(event, data) : waiting.push([event, data]));
    follow({ call: this.id }, signal, heard);
    const recent = await get(`/api/v1/calls/${this.id}/history`, signal);
    const older = recent.length && recent[0].start < 4 ? [] : await get(`/api/v1/calls/${this.id}/timeline`, signal);
    const first = recent.find((r) => r.type === "window")?.start ?? Infinity;
    for (const data of older) if (data.end <= first) this.take("window", data);
    for (const data of recent) this.take(data.type, data);
    known = true;
    for (const [event, data] of waiting) this.take(event, data);
    this.drawing = setInterval(() => this.draw(), DRAW_EVERY);
    this.looking = setInterval(() => this.look(), LOOK_EVERY);
    this.look();
    this.draw();
  }

  fail(error) {
    this.element.replaceChildren(h("p", { class: "back" }, h("a", { href: "#/" }, "‹ All calls")), h("h1", { tabindex: "-1" }, "Call"),
      empty(error.status === 404 ? "This call is not known here: it was never monitored, or is no longer kept. Go back to the list of calls." : error.message));
  }

  track(name) {
    if (!this.tracks.has(name)) {
      this.tracks.set(name, new Track(name));
      this.who.append(h("option", { value: name }, name));
      if (this.chosen === null) this.chosen = name;
      this.sound.choose(this.chosen);
      this.whose.hidden = this.tracks.size < 2;
    }
    return this.tracks.get(name);
  }

  choose(name) {
    this.chosen = name;
    this.sound.choose(name);
    this.looked = false;
    this.face.latest = null;
    this.lanes.known.clear();
    this.lanes.element.replaceChildren();
    this.cues.rows.clear();
    this.cues.list.replaceChildren();
    this.look();
    this.draw();
  }

  take(event, data) {
    if (event === "window") this.track(data.participant).window(data);
    else if (event === "verdict") {
      this.track(data.participant).judged(data);
      this.call.seenAt = performance.now();
    } else if (event === "call" && data.state === "ended") this.call.ended = data.reason;
    else if (event === "paused") this.paused.set(data.participant, data.reason);
    else if (event === "resumed") this.paused.delete(data.participant);
  }

  // The alert that goes with this participant's state; its message comes a moment after the verdict.
  alert(state) {
    return [...feed.alerts.values()].findLast((a) => a.call === this.id && a.participant === this.chosen && a.tier === state);
  }

  // Pictures are made only for calls that are asked about: a hidden page asks for nothing.
  async look() {
    if (document.hidden || this.busy || this.chosen === null || this.looked) return;
    this.busy = true;
    this.looked = this.call.ended !== null;
    const { signal } = this.stop;
    try {
      await Promise.all([this.sound.load(this.id, this.chosen, signal), this.face.load(this.id, this.chosen, signal)]);
    } catch (error) {
      if (error.status === 404) this.looked = true;
    } finally {
      this.busy = false;
    }
  }

  draw() {
    if (document.hidden || this.call === undefined) return;
    const track = this.tracks.get(this.chosen) ?? new Track(""), v = track.verdict, state = v?.state ?? "warming";
    const running = this.call.ended === null;
    say(this.name, this.call.label || this.chosen || "Call");
    if (this.badge.dataset.state !== state) {
      const fresh = badge(state, "state");
      this.badge.replaceWith(fresh);
      this.badge = fresh;
    }
    say(this.facts, (this.call.label && this.chosen ? `${this.chosen}, ` : "") + ingest(this.call.ingest) + (running ? "" : `; ${ending(this.call.ended)}${this.call.detail ? ` (${this.call.detail})` : ""}`));
    const paused = this.paused.get(this.chosen);
    say(this.says, [paused ? `Not monitored now: ${pause(paused)}.` : "", STATES[state].says, todo(state, this.alert(state))].filter(Boolean).join(" "));
    say(this.rare, v ? rarity(v.p_value) : "");
    const seconds = v?.seconds;
    say(this.timer, clock(age(this.call, v)));
    say(this.scored, seconds ? seconds.scored.toFixed(0) : "0");
    say(this.unheard, unmonitored(seconds).toFixed(0));
    const all = seconds ? [...Object.entries(seconds.abstained_by_reason), ...Object.entries(seconds.lost_by_reason)] : [];
    const reasons = all.filter(([, s]) => s >= 0.5);
    say(this.why, reasons.length ? `Not monitored: ${reasons.map(([why, s]) => `${reason(why)} ${s.toFixed(0)} s`).join(", ")}.` : "");
    say(this.numbers, this.figures(v));
    this.end.hidden = !running;
    this.stretch.follow(running && v ? Math.min(age(this.call, v), track.end + 5) : track.end);
    drawStatistic(this.chart, track, this.stretch);
    this.chart.setAttribute("aria-label", tellStatistic(track));
    this.lanes.draw(track, this.stretch);
    const over = running ? "" : this.call.ingest === "file" ? "This recording has been replayed." : "This call is over.";
    this.sound.draw(track, this.stretch, over);
    this.face.draw(track, over);
    this.cues.draw(track);
    if (this.more.open) this.tabulate(track);
  }

  figures(v) {
    if (!v) return "";
    const lines = Object.entries(v.thresholds ?? {}).map(([tier, at]) => `${tier} line ${number(at)}`);
    return `Decided by ${alertType(v.alert_type)}. Statistic ${number(v.statistic)} (natural log); ${lines.join(", ") || "no lines known"}; evidence of everything heard ${number(v.llr)}; p-value ${number(v.p_value, 4)}.`;
  }

  tabulate(track) {
    const rows = [...track.lanes].flatMap(([name, spans]) => spans.slice(-12).map((s) => ({ name, ...s })));
    rows.sort((a, b) => b.end - a.end);
    this.windows.replaceChildren(table("Latest windows", ["Until", "Detector", "LLR", "Not judged, lost"], rows.slice(0, 24).map((s) =>
      [`${number(s.end, 1)} s`, s.name, number(s.llr), [s.reason && reason(s.reason), ...s.lost.map((gap) => reason(gap.reason))].filter(Boolean).join(", ") || "–"])));
  }

  async finish() {
    this.end.disabled = true;
    try {
      await ask(`/api/v1/calls/${this.id}`, { method: "DELETE" });
    } catch (error) {
      this.end.disabled = false;
      say(this.problem, error.message);
    }
  }

  close() {
    this.stop.abort();
    clearInterval(this.drawing);
    clearInterval(this.looking);
  }
}

const tile = (name, value) => h("div", {}, h("dt", {}, name), value);
