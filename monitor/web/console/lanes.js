// One lane for each detector that was heard of: how every window leans, or why it was not judged.
import { begin, colours, dots, hatch, label, timeAxis } from "./canvas.js";
import { h, say } from "./dom.js";
import { counts, detector, leaning, number, reason } from "./words.js";

const HEIGHT = 58, AXIS = 16, MOST = 3;

export class Lanes {
  constructor() {
    this.element = h("div", { class: "lanes" });
    this.known = new Map();
    this.certificates = null;
  }

  // Says which lanes the state rests on: those of alert types that lines exist for.
  judge(certificates) {
    this.certificates = certificates;
  }

  draw(track, stretch) {
    const names = [...track.lanes.keys()].sort((a, b) => rank(a) - rank(b));
    for (const name of names) if (!this.known.has(name)) this.known.set(name, make(name));
    const parts = names.map((name) => this.known.get(name));
    if (this.element.children.length !== parts.length) this.element.replaceChildren(...parts.map((p) => p.element));
    names.forEach((name, i) => {
      const part = parts[i], latest = track.latest.get(name), last = i === names.length - 1;
      const now = latest ? tell(latest) : "";
      say(part.now, now);
      say(part.role, this.certificates && !counts(name, this.certificates) ? "shown only, does not count" : "");
      part.canvas.setAttribute("aria-label", `${detector(name)}: ${now}`);
      paint(part.canvas, track.lanes.get(name), stretch, last);
    });
  }
}

const ORDER = ["voice", "face", "sync"];
const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

export function tell(latest) {
  return latest.abstained ? `not judged: ${reason(latest.abstained)}` : `${leaning(latest.llr)} (${number(latest.llr, 1)})`;
}

function make(name) {
  const now = h("span", { class: "now" }), role = h("span", { class: "hint" }), canvas = h("canvas", { role: "img" });
  const title = h("div", { class: "name" }, h("h3", {}, detector(name)), role);
  return { element: h("div", { class: "lane", "data-detector": name }, title, now, canvas), now, role, canvas };
}

function paint(canvas, spans, stretch, last) {
  const { g, width } = begin(canvas, HEIGHT + (last ? AXIS : 0)), c = colours(canvas), middle = HEIGHT / 2;
  canvas.classList.toggle("axis", last);
  let words = null;
  for (const span of spans) {
    if (span.end < stretch.start) continue;
    const x = stretch.x(span.start, width), w = Math.max(1, stretch.x(span.end, width) - x);
    if (span.llr !== null) {
      const size = (Math.min(MOST, Math.abs(span.llr)) / MOST) * (middle - 3);
      g.fillStyle = span.llr > 0 ? c.fake : c.genuine;
      g.fillRect(x, span.llr > 0 ? middle - size : middle, Math.max(1, w - 1), Math.max(1.5, size));
    } else {
      hatch(g, x, 2, w, HEIGHT - 4, c.muted);
    }
    for (const gap of span.lost) {
      const from = stretch.x(gap.start, width), wide = stretch.x(gap.end, width) - from;
      if (wide > 0) dots(g, from, 2, wide, HEIGHT - 4, c.ink, c.rule);
    }
    words = collect(g, words, span, x, w, c);
  }
  flush(g, words, c);
  g.strokeStyle = c.muted;
  g.beginPath();
  g.moveTo(0, middle);
  g.lineTo(width, middle);
  g.stroke();
  if (last) timeAxis(g, stretch, width, HEIGHT + AXIS - 3, c.muted);
}

// Neighbouring spans with the same reason get one label, where there is room for it.
function collect(g, words, span, x, w, c) {
  const why = span.reason ? reason(span.reason) : span.lost.length ? reason(span.lost[0].reason) : null;
  if (words && words.why === why) {
    words.end = x + w;
    return words;
  }
  flush(g, words, c);
  return why ? { why, start: Math.max(0, x), end: x + w } : null;
}

function flush(g, words, c) {
  if (!words) return;
  const room = words.end - words.start;
  if (g.measureText(words.why).width + 8 < room) label(g, words.why, (words.start + words.end) / 2, HEIGHT / 2 - 4, c.ink, c.panel, "center");
}
