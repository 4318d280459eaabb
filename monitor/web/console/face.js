// The face that was judged last, where it looked forged, and what each detector measures.
import { get } from "./api.js";
import { bytes, details, h, say } from "./dom.js";
import { tell } from "./lanes.js";
import { detector, number } from "./words.js";

const SIDE = 224;

export class Face {
  constructor() {
    this.canvas = h("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": "No face yet" });
    this.heat = h("input", { type: "checkbox", checked: true, id: "heat", onchange: () => this.paint() });
    this.words = h("p", { class: "hint" });
    this.found = h("span", { id: "face" }, "none found");
    this.shown = h("div", { class: "picture" }, this.canvas, h("label", { class: "check" }, this.heat, " show heat map"));
    this.element = h("section", { class: "panel", id: "faces" }, h("h2", {}, "Face"), h("p", {}, this.found), this.shown, this.words);
    this.latest = null;
  }

  async load(call, participant, signal) {
    const found = await get(`/api/v1/calls/${call}/previews/${encodeURIComponent(participant)}/face`, signal);
    this.enabled = found.enabled;
    if (found.face && found.face.time !== this.latest?.time) {
      this.latest = found.face;
      this.paint();
    }
  }

  draw(track, over) {
    const seen = track.latest.get("face"), width = seen?.quality?.face_px;
    say(this.found, !seen ? (this.latest ? "found, not judged yet" : "no video") : width ? `found, ${Math.round(width)} px wide; ${tell(seen)}` : tell(seen));
    this.shown.hidden = this.latest === null;
    if (this.latest === null) {
      say(this.words, this.enabled === false ? "Pictures of calls are switched off in this service (server.previews)."
        : seen && over ? `${over} There is no picture of it: none was asked for while it went on, or it is no longer kept.`
          : seen ? "The picture appears once a face is large enough to be judged." : "This participant sends no pictures.");
    }
  }

  paint() {
    const { width, height, rgb, heatmap } = this.latest, data = bytes(rgb);
    const small = document.createElement("canvas"), g = this.canvas.getContext("2d");
    small.width = width;
    small.height = height;
    const image = small.getContext("2d").createImageData(width, height);
    for (let i = 0; i < width * height; i += 1) {
      image.data.set([data[3 * i], data[3 * i + 1], data[3 * i + 2], 255], 4 * i);
    }
    small.getContext("2d").putImageData(image, 0, 0);
    g.drawImage(small, 0, 0, SIDE, SIDE);
    const where = heatmap ? this.overlay(g, heatmap) : "This picture was not judged.";
    say(this.words, where);
    this.canvas.setAttribute("aria-label", `The face at ${number(this.latest.time, 1)} s. ${where}`);
  }

  // Brighter and more opaque where an edge is suspected; the words say where and how much.
  overlay(g, { rows, columns, data }) {
    const values = bytes(data);
    let most = 0;
    values.forEach((value, i) => { if (value > values[most]) most = i; });
    if (this.heat.checked) {
      for (let i = 0; i < values.length; i += 1) {
        g.fillStyle = `rgba(255, 170, 0, ${0.75 * (values[i] / 255) ** 1.5})`;
        g.fillRect(((i % columns) * SIDE) / columns, (Math.floor(i / columns) * SIDE) / rows, SIDE / columns + 0.5, SIDE / rows + 0.5);
      }
    }
    const third = (at, of, names) => names[Math.min(2, Math.floor((3 * (at + 0.5)) / of))];
    const place = `${third(Math.floor(most / columns), rows, ["upper", "middle", "lower"])} ${third(most % columns, columns, ["left", "centre", "right"])}`;
    return `Strongest mark: ${place}, ${Math.round(values[most] / 2.55)} of 100.`;
  }
}

export class Cues {
  constructor() {
    this.list = h("dl", { class: "cues" });
    this.element = h("section", { class: "panel", id: "cues" }, h("h2", {}, "What each detector sees now"), this.list);
    this.rows = new Map();
  }

  draw(track) {
    for (const [name, latest] of track.latest) {
      if (!this.rows.has(name)) {
        const now = h("span", {}), numbers = h("span", {});
        const row = h("div", {}, h("dt", {}, detector(name)), h("dd", {}, now, details("numbers", numbers)));
        this.rows.set(name, { now, numbers });
        this.list.append(row);
      }
      const { now, numbers } = this.rows.get(name);
      say(now, tell(latest));
      const measured = Object.entries({ ...latest.details, ...latest.quality }).filter(([, value]) => value !== null);
      say(numbers, [`window ${number(latest.start, 1)}–${number(latest.end, 1)} s`, ...measured.map(([key, value]) =>
        `${key.replaceAll("_", " ")} ${number(value, Math.abs(value) >= 100 ? 0 : 2)}`)].join("; "));
    }
  }
}
