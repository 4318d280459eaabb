// The decision statistic over call time: the lines it must cross, and where suspicion begins.
import { begin, colours, dots, hatch, label, timeAxis } from "./canvas.js";
import { clock } from "./words.js";

const HEIGHT = 190, AXIS = 18, TIERS = [["review", "▲ review line"], ["alert", "◆ alert line"]];

export function drawStatistic(canvas, track, stretch) {
  const { g, width } = begin(canvas, HEIGHT), c = colours(canvas), bottom = HEIGHT - AXIS;
  const shown = track.points.filter((p) => p.time >= stretch.start - 5);
  const lines = track.verdict?.thresholds ?? {};
  const values = shown.map((p) => p.statistic);
  const low = Math.min(-4, ...values) - 0.5, high = Math.max(6, ...values, ...Object.values(lines)) + 1.2;
  const y = (value) => bottom - ((value - low) / (high - low)) * bottom;
  shade(g, track, stretch, width, bottom, c);
  for (const [tier, name] of TIERS) {
    if (lines[tier] === undefined || lines[tier] === null) continue;
    g.strokeStyle = c[tier];
    g.lineWidth = 2;
    g.setLineDash(tier === "alert" ? [] : [8, 5]);
    stroke(g, [[0, y(lines[tier])], [width, y(lines[tier])]]);
    g.setLineDash([]);
  }
  g.strokeStyle = c.line;
  g.lineWidth = 2.5;
  let path = [];
  shown.forEach((point, i) => {
    const before = shown[i - 1];
    // Another alert type has another statistic: no line leads from one to the other.
    if (before && (before.type !== point.type || point.time - before.time > 12)) {
      stroke(g, path);
      path = [];
    }
    path.push([stretch.x(point.time, width), y(point.statistic)]);
  });
  stroke(g, path);
  if (path.length) {
    const [x, at] = path.at(-1);
    g.fillStyle = c.line;
    g.beginPath();
    g.arc(Math.min(width - 4, x), at, 4, 0, 7);
    g.fill();
  }
  for (const [tier, name] of TIERS) {
    if (lines[tier] !== undefined && lines[tier] !== null) {
      label(g, name, 4, tier === "alert" ? y(lines[tier]) - 5 : y(lines[tier]) + 14, c.ink, c.panel);
    }
  }
  onset(g, track, stretch, width, bottom, c);
  timeAxis(g, stretch, width, HEIGHT - 4, c.muted);
}

export function tellStatistic(track) {
  const v = track.verdict;
  if (!v) return "No decision yet.";
  const line = v.thresholds?.alert;
  const place = v.statistic === null ? "nothing judged yet"
    : line === undefined ? `statistic ${v.statistic.toFixed(1)}`
      : `statistic ${v.statistic.toFixed(1)}, alert line at ${line.toFixed(1)}`;
  return `Suspicion over time: ${place}; state ${v.state}` + (v.onset === null ? "." : `; suspicious from ${clock(v.onset)}.`);
}

function shade(g, track, stretch, width, bottom, c) {
  for (const span of (track.lanes.get("voice") ?? track.lanes.values().next().value ?? [])) {
    if (span.end < stretch.start) continue;
    const x = stretch.x(span.start, width), w = stretch.x(span.end, width) - x;
    if (span.reason) hatch(g, x, bottom - 10, w, 10, c.muted);
    for (const gap of span.lost) dots(g, stretch.x(gap.start, width), bottom - 10, stretch.x(gap.end, width) - stretch.x(gap.start, width), 10, c.ink, c.rule);
  }
}

function onset(g, track, stretch, width, bottom, c) {
  const at = track.verdict?.onset;
  if (at === null || at === undefined) return;
  const x = Math.max(1, stretch.x(at, width));
  g.strokeStyle = c.ink;
  g.lineWidth = 1.5;
  g.setLineDash([2, 4]);
  stroke(g, [[x, 0], [x, bottom]]);
  g.setLineDash([]);
  const right = x > width / 2;
  label(g, `suspicious from ${clock(at)}`, right ? x - 5 : x + 5, bottom - 16, c.ink, c.panel, right ? "right" : "left");
}

function stroke(g, path) {
  if (path.length === 0) return;
  g.beginPath();
  path.forEach(([x, y], i) => (i ? g.lineTo(x, y) : g.moveTo(x, y)));
  g.stroke();
}
