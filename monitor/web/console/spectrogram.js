// The sound of the last minute as a picture, with what was marked in it.
import { get } from "./api.js";
import { begin, colours, dots, hatch, label } from "./canvas.js";
import { bytes, h, say } from "./dom.js";
import { clock } from "./words.js";

const HEIGHT = 200, KEPT = 60;
// Dark to bright with steadily growing brightness (after viridis), so that no hue is needed.
const STOPS = [[20, 10, 40], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const LUT = Array.from({ length: 256 }, (_, value) => {
  const at = (value / 255) * (STOPS.length - 1), low = Math.min(STOPS.length - 2, Math.floor(at));
  return STOPS[low].map((from, i) => from + (STOPS[low + 1][i] - from) * (at - low));
});

export class Spectrogram {
  constructor() {
    this.canvas = h("canvas", { role: "img", "aria-label": "Spectrogram of the last minute", hidden: true });
    this.note = h("p", { class: "hint" }, "Waiting for sound…");
    this.element = h("section", { class: "panel", id: "spectrogram" }, h("h2", {}, "Sound"), this.canvas, this.note);
    this.heard = new Map(); // Pieces by participant.
    this.participant = null;
  }

  get pieces() {
    return this.heard.get(this.participant) ?? [];
  }

  choose(participant) {
    this.participant = participant;
  }

  async load(call, participant, signal) {
    const before = this.heard.get(participant) ?? [], since = before.at(-1)?.end ?? 0;
    const query = new URLSearchParams({ since });
    const found = await get(`/api/v1/calls/${call}/previews/${encodeURIComponent(participant)}/spectrogram?${query}`, signal);
    this.enabled = found.enabled;
    const all = [...before, ...found.pieces.map((piece) => ({ ...piece, picture: render(bytes(piece.data), found.bands) }))];
    const newest = all.at(-1)?.end ?? 0;
    this.heard.set(participant, all.filter((piece) => piece.end > newest - KEPT));
  }

  // `over` says how the call ended; empty while it goes on.
  draw(track, stretch, over) {
    const none = this.pieces.length === 0;
    this.canvas.hidden = none;
    say(this.note, this.words(none, over));
    if (none) return;
    const { g, width } = begin(this.canvas, HEIGHT), c = colours(this.canvas);
    g.imageSmoothingEnabled = false;
    for (const piece of this.pieces) {
      const x = stretch.x(piece.start, width), w = stretch.x(piece.end, width) - x;
      if (x + w > 0) g.drawImage(piece.picture, x, 0, w + 0.5, HEIGHT);
    }
    for (const span of track.lanes.get("voice") ?? []) {
      if (span.end < stretch.start) continue;
      const x = stretch.x(span.start, width), w = stretch.x(span.end, width) - x;
      if (span.reason) hatch(g, x, HEIGHT - 12, w, 12, "#fff");
      for (const gap of span.lost) dots(g, stretch.x(gap.start, width), 0, stretch.x(gap.end, width) - stretch.x(gap.start, width), HEIGHT, c.ink, c.rule);
    }
    this.mark(g, track, stretch, width, c);
    label(g, "8 kHz", width - 4, 13, c.ink, c.panel, "right");
    label(g, "0", width - 4, HEIGHT - 5, c.ink, c.panel, "right");
  }

  words(none, over) {
    if (this.enabled === false) return "Pictures of calls are switched off in this service (server.previews).";
    if (none) return over ? `${over} There is no picture of its sound: none was asked for while it went on, or it is no longer kept.` : "Waiting for sound…";
    return `Low tones at the bottom, loud parts bright. ${over ? `${over} This was its last minute.` : "Kept in memory for a minute, never stored."}`;
  }

  mark(g, track, stretch, width, c) {
    const onset = track.verdict?.onset;
    if (onset === null || onset === undefined) return;
    const x = Math.max(1.5, stretch.x(onset, width)), end = Math.min(width - 1.5, stretch.x(track.end, width));
    if (end < x) return;
    g.lineWidth = 5;
    g.strokeStyle = c.panel;
    bracket(g, x, end);
    g.lineWidth = 2.5;
    g.strokeStyle = c.alert;
    bracket(g, x, end);
    label(g, `◆ suspicious from ${clock(onset)}`, Math.min(x + 8, Math.max(4, width - 150)), 28, c.ink, c.panel);
  }
}

function bracket(g, x, end) {
  g.beginPath();
  g.moveTo(x, 14);
  g.lineTo(x, 3);
  g.lineTo(end, 3);
  g.lineTo(end, 14);
  g.stroke();
}

function render(data, bands) {
  const columns = data.length / bands, canvas = document.createElement("canvas");
  canvas.width = Math.max(1, columns);
  canvas.height = bands;
  const g = canvas.getContext("2d"), image = g.createImageData(canvas.width, bands);
  for (let x = 0; x < columns; x += 1) {
    for (let y = 0; y < bands; y += 1) {
      const [red, green, blue] = LUT[data[x * bands + bands - 1 - y]], at = 4 * (y * canvas.width + x);
      image.data.set([red, green, blue, 255], at);
    }
  }
  g.putImageData(image, 0, 0);
  return canvas;
}
