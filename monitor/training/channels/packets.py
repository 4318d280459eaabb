"""Packets that a network loses, and what receivers put in their place."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from monitor.types import SAMPLE_RATE, Waveform

Signals = NDArray[np.float32]
"""Shape (recordings, samples), 16 kHz."""
FRAME = 320
"""Samples of one network packet: 20 ms."""
SILENCE, REPEAT, PITCH = "silence", "repeat", "pitch"
CONCEALMENTS = (SILENCE, REPEAT, REPEAT, PITCH)
"""Nothing; the last packet again, fading; its last pitch period again (as G.711 Appendix I)."""


def lose_packets(signals: Signals, loss: float, conceal: str, rng: Generator) -> Signals:
    """Drop 20 ms packets in bursts (Gilbert model) and conceal them."""
    frames = signals.shape[1] // FRAME
    out = signals.copy()
    lost = 0
    for i in range(1, frames):
        lost = lost + 1 if rng.random() < (0.5 if lost else loss) else 0
        if not lost:
            continue
        here = slice(i * FRAME, (i + 1) * FRAME)
        if conceal == SILENCE or lost > 3:
            out[:, here] = 0
        elif conceal == REPEAT or i == 1:
            out[:, here] = out[:, (i - 1) * FRAME : i * FRAME] * 0.7
        else:
            past = out[:, (i - 2) * FRAME : i * FRAME]
            out[:, here] = np.stack([_go_on(one) for one in past]) * np.float32(0.9)
    return out


def _go_on(past: Waveform) -> Waveform:
    """The next packet as the last pitch period of the two before it, over and over."""
    alike = np.correlate(past, past[-FRAME:], "valid")
    # Lags of 2.5 to 20 ms: 400 to 50 Hz.
    shortest = SAMPLE_RATE // 400
    lag = FRAME - int(np.argmax(alike[: FRAME - shortest]))
    return np.resize(past[-lag:], FRAME)
