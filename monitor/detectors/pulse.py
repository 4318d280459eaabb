"""Pulse: the heart's beat in the colour of the skin. For display only; it never counts.

Plane-orthogonal-to-skin (Wang et al. 2017, "Algorithmic principles of remote PPG") on forehead and
cheeks. Deepfakes carry the pulse of whoever drives them (Seibold et al. 2025), and compression
removes most of it: a beat that is found proves nothing, nor does one that is not.

The null: the same colours in another order, which have the same spread and no rhythm.
"""

import numpy as np
from numpy.typing import NDArray

from monitor.detectors.cue import LATE, SEPARABLE, Floats, abstained, bursts, chance, rate
from monitor.types import AbstentionReason, CueWindow, Reading

FEWEST_HZ = 10.0
FEWEST_SECONDS = 8.0
"""Of one burst: a slow heart beats six times."""
_SLOWEST, _FASTEST = 0.7, 3.0
"""Beats a second."""
_SPAN = 1.6
"""Seconds of colour that are normalised together."""
_CLEAR_DB = 0.0
"""Least power of the beat and its double over the rest of the band."""
_SAME = 0.15
"""Beats a second within which forehead and cheeks must agree."""


class Pulse:
    """The heart's rate, where it can be seen."""

    name = "pulse"
    model = "none"

    def measure(self, window: CueWindow) -> Reading:
        """Return 0 where a pulse is seen: its rate is in the details."""
        longest = max(bursts(window.times), key=lambda b: b.stop - b.start, default=slice(0, 0))
        times = window.times[longest]
        if len(times) < 2 or rate(times) < LATE * FEWEST_HZ:
            return abstained(AbstentionReason.FEW_PICTURES)
        if times[-1] - times[0] < FEWEST_SECONDS:
            return abstained(AbstentionReason.TOO_SHORT)
        colour = window.skin[longest].astype(np.float64)
        if not np.isfinite(colour).all() or colour.min() < 1:
            return abstained(AbstentionReason.OCCLUDED)
        step = float(np.median(np.diff(times)))
        even = np.arange(times[0], times[-1], step)
        steady = np.stack(
            [[np.interp(even, times, band) for band in part.T] for part in colour.swapaxes(0, 1)]
        ).transpose(2, 0, 1)
        whole = steady.mean(axis=1)
        beats, snr = heart_rate(whole, step)
        forehead, cheeks = (
            heart_rate(part, step)[0] for part in (steady[:, 0], steady[:, 1:].mean(axis=1))
        )
        details = {"beats_per_minute": 60 * beats, "snr_db": snr}
        agreed = max(forehead, cheeks, beats) - min(forehead, cheeks, beats) <= _SAME
        if snr < _CLEAR_DB or not agreed:
            return abstained(AbstentionReason.NO_CONTRAST, **details)
        null = chance(snr, lambda rng: heart_rate(rng.permutation(whole), step)[1])
        details["null_p_value"] = null
        if null > SEPARABLE:
            return abstained(AbstentionReason.NO_CONTRAST, **details)
        return Reading(0.0, details=details)


def heart_rate(colour: NDArray[np.float64], step: float) -> tuple[float, float]:
    """Beats a second and their signal-to-noise ratio in dB.

    `colour` (pictures, 3): mean RGB of skin, above 0, every `step` seconds.
    """
    size = min(max(4, round(_SPAN / step)), len(colour))
    parts = np.lib.stride_tricks.sliding_window_view(colour, size, axis=0)
    red, green, blue = np.moveaxis(parts / parts.mean(axis=2, keepdims=True), 1, 0)
    first, second = green - blue, green + blue - 2 * red
    share = first.std(axis=1) / np.maximum(second.std(axis=1), 1e-9)
    beats = first + share[:, None] * second
    beats -= beats.mean(axis=1, keepdims=True)
    wave = np.zeros(len(colour))
    for i in range(size):
        wave[i : i + len(beats)] += beats[:, i]
    return _strongest(wave, step)


def _strongest(wave: Floats, step: float) -> tuple[float, float]:
    """The strongest rhythm in hertz, and how far it and its double stand out (de Haan 2013)."""
    padded = 8 * len(wave)
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), padded)) ** 2
    hertz = np.fft.rfftfreq(padded, step)
    band = np.flatnonzero((hertz >= _SLOWEST) & (hertz <= _FASTEST))
    beats = float(hertz[band[power[band].argmax()]])
    near = np.minimum(np.abs(hertz - beats), np.abs(hertz - 2 * beats)) < _SAME
    wide = (hertz >= _SLOWEST) & (hertz <= 2 * _FASTEST)
    clear, rest = (max(float(power[wide & part].sum()), 1e-20) for part in (near, ~near))
    return beats, float(10 * np.log10(clear / rest))
