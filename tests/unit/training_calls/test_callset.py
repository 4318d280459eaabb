"""Which calls are staged, and that the truth lies where the audio changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from monitor.training.calls.callset import FEWEST_FAKE, Kind, Recipe, assemble, recipes
from monitor.training.data.clips import Clip, Split
from monitor.types import SAMPLE_RATE, Waveform

SECONDS = 6.0


def _clip(source: str, speaker: str, number: int, generator: str = "human") -> Clip:
    fake = generator != "human"
    split = Split.HUMAN if source.startswith("human") else Split.TEST
    path = f"{source}/{speaker}/{generator}/{number}"
    return Clip(path, fake, generator, generator, speaker, source, "", split, SECONDS, Path())


CLIPS = [
    *(_clip("test/a", "anna", n) for n in range(4)),
    *(_clip("test/a", "anna", n, f"g{g}") for g in range(3) for n in range(3)),
    *(_clip("test/a", "bert", n) for n in range(4)),
    *(_clip("test/b", "carl", n, "g9") for n in range(5)),
    *(_clip("human/c", "dora", n) for n in range(5)),
    # Too short for anything.
    _clip("human/c", "emil", 0),
    _clip("test/b", "fred", 0, "g8"),
]


def _tone(frequency: float, seconds: float = SECONDS) -> Waveform:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * frequency * t).astype(np.float32)


def _found(kind: Kind) -> list[Recipe]:
    return [r for r in recipes(CLIPS) if r.kind is kind]


def test_humans_meet_their_own_fakes_first_then_their_source_then_any() -> None:
    met: dict[str, set[tuple[str, str]]] = {}
    for recipe in _found(Kind.SWITCH):
        met.setdefault(recipe.human[0].speaker, set()).add((recipe.match, recipe.fake[0].generator))
    assert met["anna"] == {("speaker", f"g{g}") for g in range(3)}
    assert {match for match, _ in met["bert"]} == {"source"}
    assert {match for match, _ in met["dora"]} == {"nothing"}
    assert "emil" not in met
    assert all(g != "g8" for generators in met.values() for _, g in generators)


def test_the_same_clips_give_the_same_recipes_in_any_order() -> None:
    assert recipes(reversed(CLIPS)) == recipes(CLIPS)
    # Another speaker's clips move nobody else's call.
    fewer = [c for c in CLIPS if c.speaker != "dora"]
    kept = [r for r in recipes(CLIPS) if r.human[0].speaker != "dora"]
    assert recipes(fewer) == kept


@pytest.mark.parametrize("kind", [Kind.SWITCH, Kind.PARTIAL])
def test_the_fake_lies_where_the_audio_changes(kind: Kind) -> None:
    recipe = _found(kind)[0]
    human = [_tone(300.0) for _ in recipe.human]
    fake = [_tone(3000.0) for _ in recipe.fake]
    audio, span = assemble(recipe, human, fake)
    start, end = round(span.start * SAMPLE_RATE), round(span.end * SAMPLE_RATE)
    assert _high(audio[start:end]) > 0.99
    assert _high(audio[:start]) < 0.01
    assert np.abs(audio[start : start + 32]).max() > 0.01
    assert len(audio) <= SAMPLE_RATE * (2 * recipe.head + recipe.stretch + 2)
    if kind is Kind.SWITCH:
        assert end == len(audio)
    else:
        assert _high(audio[end:]) < 0.01
        assert len(audio) - end > SAMPLE_RATE * SECONDS
        assert FEWEST_FAKE <= recipe.stretch <= 15
        assert span.duration <= recipe.stretch + 0.5


def test_a_head_is_cut_where_the_recipe_says() -> None:
    recipe = replace(_found(Kind.SWITCH)[0], head=9.0)
    _, span = assemble(recipe, [_tone(300.0)] * 4, [_tone(3000.0)] * 2)
    assert span.start == pytest.approx(9.0, abs=0.5)


def _high(audio: Waveform) -> float:
    """Share of the energy above 1.5 kHz."""
    power = np.abs(np.fft.rfft(audio)) ** 2
    edge = round(1500 * len(audio) / SAMPLE_RATE)
    return float(power[edge:].sum() / power.sum())
