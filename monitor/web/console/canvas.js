// Drawing that every chart shares: sharp lines, colours of the scheme in use, patterns, time axis.
import { clock } from "./words.js";

export function begin(canvas, height) {
  const width = canvas.clientWidth || 320, scale = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const g = canvas.getContext("2d");
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = "12px system-ui, sans-serif";
  g.textBaseline = "alphabetic";
  g.lineWidth = 1;
  g.setLineDash([]);
  return { g, width, height };
}

export function colours(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(["ink", "muted", "rule", "panel", "fake", "genuine", "review", "alert", "line"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function inside(g, x, y, width, height, draw) {
  g.save();
  g.beginPath();
  g.rect(x, y, width, height);
  g.clip();
  draw();
  g.restore();
}

// Diagonal lines: present, not judged. They run on from one span to the next.
export function hatch(g, x, y, width, height, colour) {
  inside(g, x, y, width, height, () => {
    g.strokeStyle = colour;
    g.beginPath();
    for (let at = Math.floor((x - height) / 7) * 7; at < x + width; at += 7) {
      g.moveTo(at, y + height);
      g.lineTo(at + height, y);
    }
    g.stroke();
  });
}

// Dots: never arrived.
export function dots(g, x, y, width, height, colour, ground) {
  inside(g, x, y, width, height, () => {
    g.fillStyle = ground;
    g.fillRect(x, y, width, height);
    g.fillStyle = colour;
    for (let row = 0; row * 6 < height; row += 1) {
      for (let at = Math.floor(x / 6) * 6 + (row % 2) * 3; at < x + width; at += 6) g.fillRect(at, y + row * 6 + 2, 2, 2);
    }
  });
}

export function label(g, text, x, y, colour, ground, align = "left") {
  const width = g.measureText(text).width, left = align === "right" ? x - width : align === "center" ? x - width / 2 : x;
  g.globalAlpha = 0.88;
  g.fillStyle = ground;
  g.fillRect(left - 2, y - 11, width + 4, 14);
  g.globalAlpha = 1;
  g.fillStyle = colour;
  g.fillText(text, left, y);
}

export function timeAxis(g, stretch, width, y, colour) {
  const step = [5, 10, 15, 30, 60, 120, 300, 600, 1800].find((s) => stretch.x(stretch.start + s, width) >= 56) ?? 3600;
  g.fillStyle = colour;
  g.textAlign = "center";
  for (let at = Math.ceil(stretch.start / step) * step; at <= stretch.start + stretch.length; at += step) {
    const x = stretch.x(at, width);
    if (x > 14 && x < width - 14) g.fillText(clock(at), x, y);
  }
  g.textAlign = "left";
}
