"""Every parser of what comes from outside against bytes that nobody sane sends.

`make fuzz` throws far more at the same targets.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS


@st.composite
def spoiled(draw: st.DrawFn, seed: bytes) -> bytes:
    """A seed with some of its stretches replaced, repeated or cut out."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        data[start:end] = draw(st.binary(max_size=8)) + draw(st.integers(0, 2)) * data[start:end]
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_refusals_comes_of_hostile_input(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        target.run(seed)

    @given(st.sampled_from(target.seeds).flatmap(spoiled) | st.binary(max_size=300))
    def attack(data: bytes) -> None:
        target.run(data)

    attack()
