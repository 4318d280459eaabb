"""A genuine face never acquits a fake voice, and an abstention changes exactly nothing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decision.fusion import Evidence, fuse
from monitor.decision.strata import BUDGET_SHARES, budget_share

LLR = st.floats(-6, 6)
MAYBE = st.none() | LLR


def test_no_opinion_is_none() -> None:
    assert fuse(Evidence()) is None
    assert fuse(Evidence(cues=1.0)) is None


@given(LLR)
def test_one_modality_alone_is_itself(llr: float) -> None:
    assert fuse(Evidence(voice=llr)) == pytest.approx(llr)
    assert fuse(Evidence(face=llr)) == pytest.approx(llr)
    assert fuse(Evidence(sync=llr)) == pytest.approx(llr)


@given(LLR, st.floats(-20, 6))
def test_a_face_takes_at_most_its_prior_from_a_fake_voice(voice: float, face: float) -> None:
    fused = fuse(Evidence(voice=voice, face=face))
    assert fused is not None
    # voice-only keeps 0.6 of the 0.9 that voice, face and both share
    assert fused >= voice + math.log(0.6 / 0.9) - 1e-9


@given(MAYBE, MAYBE, MAYBE, LLR, st.floats(0, 3))
def test_more_evidence_of_anything_never_lowers_the_whole(
    voice: float | None, face: float | None, sync: float | None, base: float, more: float
) -> None:
    low = fuse(Evidence(voice, face, base if sync is None else sync))
    for evidence in (
        Evidence(None if voice is None else voice + more, face, base if sync is None else sync),
        Evidence(voice, None if face is None else face + more, base if sync is None else sync),
        Evidence(voice, face, (base if sync is None else sync) + more),
    ):
        high = fuse(evidence)
        assert low is not None
        assert high is not None
        assert high >= low - 1e-9


@given(LLR, LLR, st.floats(-100, 100))
def test_cues_are_capped(voice: float, face: float, cues: float) -> None:
    with_cues, without = fuse(Evidence(voice, face, cues=cues)), fuse(Evidence(voice, face))
    assert with_cues is not None
    assert without is not None
    assert abs(with_cues - without) <= 1.0 + 1e-9


def test_types_share_one_budget() -> None:
    for shares in BUDGET_SHARES.values():
        assert sum(shares.values()) == pytest.approx(1)
    assert budget_share("voice", "audio/narrow") == 1
    assert budget_share("voice", "audio+video/wide") == 0.5
    assert budget_share("face", "audio/wide") == 0
