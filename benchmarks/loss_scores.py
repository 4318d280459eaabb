"""What lost packets do to the scores of genuine speech: `make bench-loss`.

    recording ─ Opus, 20 ms ─ seeded loss ─┬─ aiortc's jitter buffer, as it comes ─┐
                                           └─ AudioReceiver, as the service has it ┴─ voice windows

People's recordings are sent with the same packets lost through both ways, and judged by the shipped
voice detector behind the speech gate. Of every window that is judged with and without loss the
difference is taken: how far loss alone moves a score. aiortc's own buffer (capacity 16, prefetch 4)
is what calls were heard through before the service had one. What is said is how much audio of the
packets that arrived was heard, the mean difference with a 95 % interval over recordings (and not
over windows, which share a speaker), and how far the windows' mean moved in standard deviations of
the scores without loss.

The service's promise: at 5 % loss the mean moves by at most a quarter of a standard deviation, and
99 % of what arrived is heard at any loss. Ends with 1 if that does not hold.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket as AiortcPacket

from monitor.calls.pipeline import Pipeline
from monitor.calls.stages import Stages
from monitor.calls.thinning import Thinning
from monitor.ingest.codecs.audio_payload import sound_format
from monitor.ingest.codecs.convert import AudioConverter
from monitor.ingest.rtp.audio_receiver import AudioReceiver
from monitor.ingest.rtp.jitter_buffer import RtpPacket
from monitor.metrics.sink import Metrics
from monitor.service.judges import build_stages
from monitor.settings import load
from monitor.types import AudioFrame, Gap, LostReason, Outcome, Score, Span, Timing
from tests.e2e.rig.recordings import Recordings
from tests.e2e.rig.sound import read_wav
from tests.fakes import MemorySink

VOICES = ("human-en", "human-en-menus", "human-fr", "human-words")
"""Three people, from Debian's packages."""
FRAME = 960
"""Samples of 20 ms at 48 kHz."""
STEP = FRAME / 48_000

BOUND = 0.25
"""Standard deviations by which the mean may move at `BOUND_LOSS`."""
BOUND_LOSS = 0.05
LEAST_HEARD = 0.99
"""Share of what arrived."""

Heard = list[AudioFrame | Gap]


@dataclass
class Network:
    """Loses packets as a radio does: in bursts of a mean length, at a mean rate."""

    loss: float
    burst: float
    seed: str
    _bad: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def passes(self) -> bool:
        """Whether the next packet arrives."""
        if not self.loss:
            return True
        leave = 1 / self.burst
        enter = self.loss * leave / (1 - self.loss)
        self._bad = self._random.random() < (1 - leave if self._bad else enter)
        return not self._bad


def packets(name: str, bit_rate: int) -> list[bytes]:
    """A recording as Opus, 20 ms a packet."""
    sound, rate = read_wav(Recordings().voice(name).wav48)
    assert rate == 48_000
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.bit_rate = rate, bit_rate
    encoder.format, encoder.layout = "s16", "mono"
    encoder.options = {"application": "voip"}
    pcm = (sound * 32767).clip(-32768, 32767).astype("<i2")
    found: list[bytes] = []
    for at in range(0, len(pcm) - FRAME + 1, FRAME):
        frame = av.AudioFrame.from_ndarray(pcm[None, at : at + FRAME], "s16", "mono")
        frame.sample_rate, frame.pts = rate, at
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return found


def through_hearing(media: Sequence[bytes], arrives: Sequence[bool]) -> Heard:
    """As the service hears."""
    opus = sound_format("opus")
    assert opus is not None
    hearing = AudioReceiver("remote", {111: opus}, 0.08, lambda at: -STEP)
    found: list[AudioFrame | Gap | Timing] = []
    for number, payload in enumerate(media):
        at = number * STEP
        found += hearing.pop(at)
        if arrives[number]:
            packet = RtpPacket(1, number % 65_536, number * FRAME, 111, payload, at)
            found += hearing.push(packet)
    found += hearing.flush()
    return [each for each in found if not isinstance(each, Timing)]


def through_aiortc(media: Sequence[bytes], arrives: Sequence[bool]) -> Heard:
    """As aiortc hears: what its buffer gives out, at the time of its timestamps."""
    buffer, converter, found = JitterBuffer(capacity=16, prefetch=4), AudioConverter(), Heard()
    decoder: Any = av.CodecContext.create("libopus", "r")
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "mono", 48_000
    until = 0.0
    for number, payload in enumerate(media):
        if not arrives[number]:
            continue
        packet = AiortcPacket(111, 0, number % 65_536, number * FRAME, 1, payload)
        packet._data = payload  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        if frame is None:
            continue
        at = frame.timestamp / 48_000
        if at - until > 0.01:
            found.append(Gap("remote", Span(until, at), LostReason.NETWORK))
        for decoded in decoder.decode(av.Packet(frame.data)):
            decoded.pts = None
            samples = converter.convert(decoded)
            if len(samples):
                found.append(AudioFrame("remote", at, samples))
        until = at + STEP
    return found


async def judge(stages: Stages, heard: Heard) -> list[Outcome]:
    """The voice windows of what was heard."""
    sink = MemorySink()
    pipeline = Pipeline("bench", "remote", stages, sink, Thinning())
    for media in heard:
        await pipeline.hear(media, LostReason.NETWORK)
    await pipeline.finish()
    return [outcome for outcome in sink.outcomes if outcome.detector == "voice"]


def scores(outcomes: Sequence[Outcome]) -> dict[int, float]:
    """Logits by the second at which their window ends."""
    return {
        round(outcome.span.end): outcome.value for outcome in outcomes if isinstance(outcome, Score)
    }


def seconds(heard: Heard) -> float:
    """Of sound."""
    return sum(media.end - media.start for media in heard if isinstance(media, AudioFrame))


def measure(
    losses: Sequence[float], bursts: Sequence[float], seeds: int, bit_rate: int
) -> dict[str, Any]:
    """Send all recordings through all networks; what was found, ready for JSON."""
    stages = build_stages(load(None), Metrics())
    sent = {name: packets(name, bit_rate) for name in VOICES}
    ways: dict[str, Callable[[Sequence[bytes], Sequence[bool]], Heard]] = {
        "aiortc": through_aiortc,
        "service": through_hearing,
    }
    clean = {
        name: scores(asyncio.run(judge(stages, through_hearing(media, [True] * len(media)))))
        for name, media in sent.items()
    }
    every = [score for found in clean.values() for score in found.values()]
    spread = statistics.stdev(every)
    rows = []
    for loss, burst in ((loss, burst) for loss in losses for burst in bursts):
        for way, through in ways.items():
            moved: dict[str, list[float]] = {name: [] for name in VOICES}
            arrived = sound = 0.0
            judged = 0
            for name, media in sent.items():
                for seed in range(seeds):
                    network = Network(loss, burst, f"{name} {loss} {burst} {seed}")
                    arrives = [network.passes() for _ in media]
                    heard = through(media, arrives)
                    arrived += sum(arrives) * STEP
                    sound += seconds(heard)
                    found = scores(asyncio.run(judge(stages, heard)))
                    judged += len(found)
                    both = clean[name].keys() & found.keys()
                    moved[name] += [found[end] - clean[name][end] for end in both]
            means = [statistics.mean(each) for each in moved.values() if each]
            whole = [each for some in moved.values() for each in some]
            rows.append({
                "loss": loss, "burst": burst, "way": way,
                "heard_share": round(sound / arrived, 4),
                "windows_share": round(judged / (seeds * len(every)), 4),
                "windows": len(whole),
                "shift": round(statistics.mean(means), 3) if means else None,
                "shift_interval": interval(means),
                "shift_in_deviations": round(statistics.mean(means) / spread, 3) if means else None,
                "moved_p95": round(float(np.percentile(np.abs(whole), 95)), 3) if whole else None,
            })  # fmt: skip
    stages.executor.close()
    return {
        "benchmark": "loss_scores",
        "voices": list(VOICES),
        "seeds": seeds,
        "bit_rate": bit_rate,
        "windows_without_loss": len(every),
        "mean_without_loss": round(statistics.mean(every), 3),
        "deviation_without_loss": round(spread, 3),
        "rows": rows,
    }


def interval(means: Sequence[float]) -> list[float]:
    """95 % of the means of recordings drawn again and again."""
    if not means:
        return []
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.array(means), (10_000, len(means))).mean(axis=1)
    return [round(float(x), 3) for x in np.percentile(drawn, (2.5, 97.5))]


def table(result: dict[str, Any]) -> Iterator[str]:
    """The result for people."""
    yield (
        "{windows_without_loss} windows of genuine speech without loss: mean logit "
        "{mean_without_loss}, standard deviation {deviation_without_loss}".format_map(result)
    )
    yield f"{'loss':>6}{'burst':>6}  {'way':8}{'heard':>8}{'windows':>9}{'shift':>8}  interval"
    for row in result["rows"]:
        low, high = row["shift_interval"] or (0.0, 0.0)
        yield (
            f"{row['loss']:>6.0%}{row['burst']:>6g}  {row['way']:8}{row['heard_share']:>8.1%}"
            f"{row['windows_share']:>9.1%}{row['shift'] or 0:>+8.2f}  {low:+.2f} to {high:+.2f}, "
            f"{row['shift_in_deviations'] or 0:+.2f} deviations"
        )


def broken(result: dict[str, Any]) -> list[str]:
    """What of the promise does not hold."""
    found = []
    for row in result["rows"]:
        if row["way"] != "service":
            continue
        where = f"{row['loss']:.0%} in bursts of {row['burst']:g}"
        if row["heard_share"] < LEAST_HEARD:
            found.append(f"{where}: {row['heard_share']:.1%} of what arrived was heard")
        moved = row["shift_in_deviations"]
        if row["loss"] <= BOUND_LOSS and (moved is None or abs(moved) > BOUND):
            found.append(f"{where}: the mean moved by {moved} deviations")
    return found


def main() -> None:
    """Measure, and print a table and one line of JSON."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--loss", type=float, nargs="+", default=[0.01, 0.02, 0.05, 0.1])
    arguments.add_argument("--burst", type=float, nargs="+", default=[1.0, 3.0])
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--bit-rate", type=int, default=24_000)
    chosen = arguments.parse_args()
    result = measure(chosen.loss, chosen.burst, chosen.seeds, chosen.bit_rate)
    print("\n".join(table(result)))
    print(json.dumps(result))
    faults = broken(result)
    for fault in faults:
        print("not as promised:", fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
