"""Scored calls as a detector with an offset of its own in every call would give them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from monitor.decision.reference import ScoredWindow
from monitor.training.calls.callset import Kind, StagedCall
from monitor.training.calls.scored_calls import ScoredCall
from monitor.training.data.clips import Split
from monitor.types import Span

QUALITY = {"bandwidth_hz": 7000.0, "snr_db": 30.0, "speech_seconds": 3.0}


def windows(logits: Sequence[float]) -> tuple[ScoredWindow, ...]:
    return tuple(
        ScoredWindow(Span(float(t), t + 3.0), float(x), QUALITY, 3.0 if t == 0 else 1.0)
        for t, x in enumerate(logits)
    )


def scored(
    logits: Sequence[float],
    name: str,
    *,
    fake: bool = False,
    split: Split = Split.HUMAN,
    source: str = "s",
    channel: str = "clean",
) -> ScoredCall:
    number = int(name.rsplit("-", 1)[-1])
    generator = f"g{number % 6}" if fake else "human"
    return ScoredCall(
        source=source,
        speaker=name,
        generator=generator,
        family="tts" if fake else "human",
        fake=fake,
        split=split,
        channel=channel,
        seconds=len(logits) + 2.0,
        windows=windows(logits),
    )


def staged(
    kind: Kind, call: ScoredCall, fake: Span | None, speaker: str | None = None
) -> StagedCall:
    return StagedCall(kind, call, speaker or call.speaker, call.source, fake, "nothing")


def simulated_calls(
    humans: int = 120, between: float = 1.5, separation: float = 3.0, length: int = 60
) -> list[StagedCall]:
    """Genuine, full, switched and partly fake calls; `between` is the offsets' deviation."""
    rng = np.random.default_rng(7)

    def logits(shift: ArrayLike) -> list[float]:
        found: list[float] = (
            rng.normal(0, between) + np.asarray(shift) + rng.normal(0, 1.0, length)
        ).tolist()
        return found

    onset = length // 3
    out = []
    for i in range(humans):
        out.append(staged(Kind.GENUINE, scored(logits(0.0), f"h-{i}"), None))
    for i in range(60):
        split, source = (Split.DEV, "dev") if i % 2 else (Split.TEST, "test")
        genuine = scored(logits(0.0), f"d-{i}", split=split, source=source)
        out.append(staged(Kind.GENUINE, genuine, None))
        channel = "g711" if i % 3 else "clean"
        fake = scored(
            logits(separation), f"f-{i}", fake=True, split=split, source=source, channel=channel
        )
        out.append(staged(Kind.FULL, fake, Span(0.0, fake.seconds)))
    step = np.arange(length) >= onset
    stretch = step & (np.arange(length) < onset + 12)
    for i in range(30):
        for kind, where in ((Kind.SWITCH, step), (Kind.PARTIAL, stretch)):
            shift = separation * where
            call = scored(logits(shift), f"x-{i}", fake=True, source="test")
            end = float(onset + 12 + 3) if kind is Kind.PARTIAL else call.seconds
            out.append(staged(kind, call, Span(onset + 2.0, end), speaker=f"h-{i}"))
    return out
