"""Known recordings replayed through the live path now and then, to see that it still decides right.

A replay uses the stages of live calls and their inference threads, one window at a time and as
fast as it is judged: a live window never waits for more than one of a canary's. Its alerts reach
no sink and its windows no call metric.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from monitor.calls.stages import Stages
from monitor.decision.alarm import TIERS
from monitor.metrics.sink import Metrics
from monitor.offline import replay
from monitor.runtime import log
from monitor.types import AlarmState
from monitor.types.protocols import Source

_log = log.get(__name__)

DEADLINE = 900.0
"""Seconds one replay may take; much longer than it needs on a machine that keeps up."""


class Kind(StrEnum):
    """What a recording is known to be."""

    GENUINE = "genuine"
    FAKE = "fake"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one replay went."""

    ok: bool
    llr: float
    """Of the whole recording, natural log; not a number if nothing was scored."""
    detail: str


class Canary:
    """The recordings and when each was last replayed."""

    def __init__(
        self,
        files: Mapping[Kind, Path],
        every: float,
        open_source: Callable[[Path], Source],
        stages: Stages,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`every` is in seconds; `clock` gives monotonic seconds."""
        self._files = files
        self._every = every
        self._open = open_source
        # The challenger's opinion of a canary is nobody's business.
        self._stages = replace(stages, challenger=None)
        self._metrics = metrics
        self._clock = clock
        self._checked = dict.fromkeys(files, clock())
        for kind in files:
            metrics.canary_age.labels(kind).set_function(partial(self._age, kind))

    async def run(self) -> None:
        """Replay every recording now and then, until cancelled."""
        while self._files:
            for kind in self._files:
                await self.check(kind)
            await asyncio.sleep(self._every)

    async def check(self, kind: Kind) -> Finding:
        """Replay one recording and say whether it was decided as it must be."""
        path = self._files[kind]
        try:
            async with asyncio.timeout(DEADLINE):
                # A family of its own: the service's would count a call.
                outcome = await replay.replay(
                    path, self._open(path), self._stages, Metrics(), replay.Recorder()
                )
            finding = _judge(kind, next(iter(outcome.verdicts), {}), outcome.problem)
        except TimeoutError:
            finding = Finding(False, math.nan, f"not done within {DEADLINE:.0f} s")
        except Exception:  # noqa: BLE001
            _log.exception("canary failed", kind=kind, file=path.name)
            finding = Finding(False, math.nan, "the replay failed")
        else:
            self._checked[kind] = self._clock()
        self._metrics.canary_llr.labels(kind).set(finding.llr)
        self._metrics.canary_ok.labels(kind).set(finding.ok)
        if not finding.ok:
            _log.warning("canary is not ok", kind=kind, file=path.name, detail=finding.detail)
        return finding

    def _age(self, kind: Kind) -> float:
        return self._clock() - self._checked[kind]


def _judge(kind: Kind, verdict: Mapping[str, Any], problem: str) -> Finding:
    if problem:
        return Finding(False, math.nan, problem)
    llr = math.nan if verdict["llr"] is None else verdict["llr"]
    state = verdict["state"]
    if verdict["final_state"] == AlarmState.WARMING and state not in TIERS:
        return Finding(False, llr, "too little speech was scored to decide anything")
    ok = (state in TIERS) is (kind is Kind.FAKE)
    return Finding(ok, llr, f"a {kind} recording ended as {state}")
