"""Results → a table and a plot (SVG), for people."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP = 720, 360, 56, 24
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#0b7285")


def table(results: Sequence[Mapping[str, Any]], naive: Mapping[str, Any] | None) -> str:
    """Every kind of call in a row, its stages below."""
    head = ("calls at once", "limit", "a core", "ms a call-s", "floor", "ratio", "p95 s",
            "p95 at 80 %", "MB idle", "MB a call", "callers' cores")  # fmt: skip
    rows = [head]
    for r in results:
        best = next((t for t in r["trials"][::-1] if t["calls"] == r["limit"]), None)
        p95 = best and best["latency"].get("p95")
        late = r["at_80"] and r["at_80"]["latency"].get("p95")
        rows.append((
            r["title"], str(r["limit"]), _f(r["calls_per_core"]), _f(r["cost"]),
            _f(r["floor_cost"]), _f(r["floor_ratio"], 2), _f(p95, 3), _f(late, 3),
            _f(r["idle_megabytes"], 0), _f(r["megabytes_per_call"]),
            _f(best and best["caller_cores"], 2),
        ))  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    lines += ["", "CPU milliseconds per call-second, by thread, then by step of inference"]
    for r in results:
        best = next((t for t in r["trials"][::-1] if t["calls"] == r["limit"]), None)
        if best is not None:
            parts = [f"{k} {v:.1f}" for k, v in (*_top(best["threads"]), *_top(best["stages"]))]
            lines.append(f"{r['title']}: " + ", ".join(parts))
    if naive is not None:
        words = (
            "The naive peer carries {calls_at_once:.2f} calls, {cpu_ms_per_call_second:.0f} ms "
            "each; of voice alone {voice_calls_at_once:.2f}"
        )
        lines += ["", words.format_map(naive)]
    return "\n".join(lines)


def plot(results: Sequence[Mapping[str, Any]]) -> str:
    """Cost of a call by the number of calls; dashed: what decoding alone costs."""
    most = max(t["calls"] for r in results for t in r["trials"])
    highest = 1.15 * max(t["cost"] for r in results for t in r["trials"])
    across, down = _WIDTH - _LEFT - 16, _HEIGHT - _TOP - 40

    def at(calls: float, cost: float) -> str:
        return f"{_LEFT + across * calls / most:.1f},{_TOP + down * (1 - cost / highest):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} '
        f'{_HEIGHT + 20 * len(results)}" font-family="sans-serif" font-size="12">',
        f'<path d="M{at(0, highest)} L{at(0, 0)} L{at(most, 0)}" fill="none" stroke="#57606a"/>',
        f'<text x="{_LEFT}" y="14">CPU ms per call-second, by calls at once</text>',
    ]
    for share in (0.25, 0.5, 0.75, 1.0):
        x, y = at(most * share, 0).split(",")
        row, calls = float(y) + 16, f"{most * share:.0f}"
        parts.append(f'<text x="{x}" y="{row}" text-anchor="end">{calls}</text>')
        y, cost = at(0, highest * share).split(",")[1], f"{highest * share:.0f}"
        parts.append(f'<text x="{_LEFT - 6}" y="{y}" text-anchor="end">{cost}</text>')
    for place, (r, colour) in enumerate(zip(results, cycle(_COLOURS), strict=False)):
        points = sorted((t["calls"], t["cost"], not t["broken"]) for t in r["trials"])
        line = " ".join(at(calls, cost) for calls, cost, _ in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [_dot(at(calls, cost), colour, held) for calls, cost, held in points]
        floor = f"M{at(0, r['floor_cost'])} L{at(most, r['floor_cost'])}"
        parts.append(f'<path d="{floor}" stroke="{colour}" stroke-dasharray="3 4" fill="none"/>')
        row = _HEIGHT + 20 * place
        parts.append(f'<rect x="{_LEFT}" y="{row - 9}" width="10" height="10" fill="{colour}"/>')
        words = f"{r['title']}: up to {r['limit']} (hollow: objectives not held)"
        parts.append(f'<text x="{_LEFT + 16}" y="{row}">{escape(words)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _dot(point: str, colour: str, held: bool) -> str:
    x, y = point.split(",")
    fill = colour if held else "white"
    return f'<circle cx="{x}" cy="{y}" r="4" fill="{fill}" stroke="{colour}"/>'


def _top(spent: Mapping[str, float]) -> Iterable[tuple[str, float]]:
    return sorted(((k, v) for k, v in spent.items() if v >= 0.1), key=lambda item: -item[1])


def _f(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
