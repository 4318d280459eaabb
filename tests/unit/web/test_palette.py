"""The console's colours, as eyes see them that lack one kind of cone."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor import web

STYLE = (Path(web.__file__).parent / "console/style.css").read_text()
Matrix = NDArray[np.float64]
SEEN: dict[str, Matrix] = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
"""Linear RGB to linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""
APART = 15.0
"""CIE76 distance; 2.3 is just noticeable side by side."""
TOLD_APART = [
    *combinations(("warming", "normal", "review", "alert"), 2), ("fake", "genuine"),
]  # fmt: skip


def schemes() -> dict[str, dict[str, Matrix]]:
    """Linear RGB by variable, light and dark."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.S)
    names = {"light": light, "dark": light + dark}
    return {
        scheme: {
            name: linear(value) for name, value in re.findall(r"--([\w-]+): (#\w+);", text)
        }
        for scheme, text in names.items()
    }  # fmt: skip


def linear(colour: str) -> Matrix:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * d for d in colour[1:])
    value = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: Matrix) -> Matrix:
    """CIELAB under D65."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: Matrix, other: Matrix) -> float:
    """WCAG's ratio."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted((float(weights @ one), float(weights @ other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_differs_in_meaning_differs_to_every_eye(scheme: str, eyes: str) -> None:
    seen = {name: lab(SEEN[eyes] @ rgb) for name, rgb in schemes()[scheme].items()}
    for one, other in TOLD_APART:
        distance = float(np.linalg.norm(seen[one] - seen[other]))
        assert distance > APART, f"{one} and {other}: {distance:.1f}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_are_read_and_marks_are_seen_on_their_ground(scheme: str) -> None:
    colours = schemes()[scheme]
    for state in ("warming", "normal", "alert"):
        assert contrast(colours[state], colours["on"]) > 4.5, state
    assert contrast(colours["review"], colours["on-review"]) > 4.5
    for mark in ("fake", "genuine", "line", "alert"):
        assert contrast(colours[mark], colours["panel"]) > 3, mark


def test_red_and_green_would_be_found() -> None:
    red, green = linear("#c04040"), linear("#708020")
    seen = [lab(SEEN["deuteranopia"] @ colour) for colour in (red, green)]
    assert np.linalg.norm(lab(red) - lab(green)) > 60
    assert np.linalg.norm(seen[0] - seen[1]) < APART
