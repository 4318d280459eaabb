"""Calls whose evidence is wanted: the last seconds of their media, and a bundle on each alert."""

import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from monitor.evidence.bundle import Draft
from monitor.evidence.matroska import Clip, remux
from monitor.evidence.ring import Ring
from monitor.schema import wire
from monitor.schema.records import WindowRecord
from monitor.types import AlarmState, Alert, AlertAction, Outcome, Preview, Verdict
from monitor.types.packet import EncodedPacket, PacketTarget

MOST_WINDOWS = 3600
"""Window records of one participant that a bundle holds; the latest."""
_README = """\
Evidence of an alert, made by deepfake-monitor. An alert is a reason to look, not proof of fraud.

alert.json        the alert message: what was decided about whom, when, on which evidence
windows.jsonl     every window's score, or why there is none, one a line, in call seconds
seconds.json      where the participant's seconds went, and when monitoring was paused
models.json       the models that judged, by their SHA-256
certificate.json  what is known about false alarms at these thresholds
settings.json     the settings that bear on the decision
media.mkv         the encoded media just before the alert, as it arrived (.mka: sound only)
manifest.json     the SHA-256 of every part, and of the manifest of the bundle before this one
manifest.sig      the Ed25519 signature over manifest.json

Check it offline:  deepfake-monitor verify THIS-FILE --key signing.pub
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept of each participant, and for which alerts."""

    seconds: float = 30.0
    most_bytes: int = 32 * 2**20
    """Of encoded media."""
    tiers: frozenset[AlarmState] = frozenset({AlarmState.REVIEW, AlarmState.ALERT})


@dataclass(slots=True)
class _Watched:
    """One participant of a call."""

    ring: Ring
    windows: deque[WindowRecord] = field(default_factory=lambda: deque(maxlen=MOST_WINDOWS))
    pauses: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class _Call:
    """A call that is recorded."""

    wanted: Callable[[str], bool]
    participants: dict[str, _Watched] = field(default_factory=dict)


class Recorder:
    """A sink that also takes encoded packets of the calls it was asked to record."""

    def __init__(
        self,
        limits: Limits,
        provenance: Mapping[str, Any],
        put: Callable[[Callable[[], Draft]], None],
        wall: Callable[[], datetime],
    ) -> None:
        """`provenance` is written into each bundle, one JSON file for each key.

        `put` takes what makes a bundle and returns at once.
        """
        self._limits = limits
        self._provenance = {name: _json(value) for name, value in provenance.items()}
        self._put = put
        self._wall = wall
        self._calls: dict[str, _Call] = {}
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of media held for all calls."""
        with self._lock:
            calls = self._calls.values()
            return sum(w.ring.size for call in calls for w in call.participants.values())

    def open(self, call: str, wanted: Callable[[str], bool]) -> PacketTarget:
        """Record a call's participants that are wanted, until it ends.

        Packets go to what is returned.
        """
        with self._lock:
            self._calls[call] = _Call(wanted)
        return partial(self._take, call)

    def call_started(self, call: str, ingest: str, participant: str) -> None:
        """Ignore it: `open` was called, or not."""

    def window(self, call: str, outcome: Outcome) -> None:
        """Remember the window."""
        watched = self._watched(call, outcome.participant)
        if watched is not None:
            watched.windows.append(wire.window(outcome))

    def face(self, call: str, participant: str, time: float, found: bool) -> None:
        """Ignore it."""

    def preview(self, call: str, preview: Preview) -> None:
        """Ignore it: evidence is what arrived."""

    def verdict(self, call: str, verdict: Verdict) -> None:
        """Ignore it: the alert brings its own."""

    def compared(self, call: str, verdict: Verdict, challenger: Verdict) -> None:
        """Ignore it: a challenger's opinion is no evidence."""

    def paused(self, call: str, participant: str, time: float, reason: str | None) -> None:
        """Remember when monitoring was paused, or that it goes on (`reason` None)."""
        watched = self._watched(call, participant)
        if watched is None:
            return
        if watched.pauses and watched.pauses[-1]["end"] is None:
            watched.pauses[-1]["end"] = round(time, 3)
        if reason is not None:
            watched.pauses.append({"start": round(time, 3), "end": None, "reason": reason})

    def alert(self, alert: Alert) -> None:
        """Have a bundle made of what is known now."""
        if alert.action is not AlertAction.RAISED or alert.tier not in self._limits.tiers:
            return
        watched = self._watched(alert.call, alert.participant)
        if watched is None:
            return
        make = partial(
            self._draft,
            alert,
            secrets.token_hex(8),
            self._wall().isoformat(timespec="milliseconds"),
            watched.ring.snapshot(),
            tuple(watched.windows),
            [dict(pause) for pause in watched.pauses],
        )
        self._put(make)

    def call_ended(self, call: str, reason: str) -> None:
        """Forget the call's media."""
        with self._lock:
            self._calls.pop(call, None)

    def _take(self, call: str, packet: EncodedPacket) -> None:
        watched = self._watched(call, packet.participant)
        if watched is not None:
            watched.ring.push(packet)

    def _watched(self, call: str, participant: str) -> _Watched | None:
        with self._lock:
            known = self._calls.get(call)
            if known is None:
                return None
            if participant not in known.participants:
                if not known.wanted(participant):
                    return None
                ring = Ring(self._limits.seconds, self._limits.most_bytes)
                known.participants[participant] = _Watched(ring)
            return known.participants[participant]

    def _draft(
        self,
        alert: Alert,
        identity: str,
        created_at: str,
        packets: Sequence[EncodedPacket],
        windows: Sequence[WindowRecord],
        pauses: Sequence[Mapping[str, Any]],
    ) -> Draft:
        """Put the parts together; the writer's thread does this."""
        seconds = {
            **wire.seconds(alert.verdict.seconds),
            "unmonitored": round(alert.verdict.seconds.unmonitored, 3),
            "pauses": list(pauses),
        }
        parts = {
            "README.txt": _README.encode(),
            "alert.json": _json(wire.alert(alert)),
            "windows.jsonl": b"".join(json.dumps(w).encode() + b"\n" for w in windows),
            "seconds.json": _json(seconds),
            **{f"{name}.json": data for name, data in self._provenance.items()},
        }
        clip = remux(packets)
        if clip is not None:
            pictures = any(track.kind == "video" for track in clip.tracks)
            parts["media.mkv" if pictures else "media.mka"] = clip.data
        subject = {
            "call": alert.call,
            "participant": alert.participant,
            "alert": alert.id,
            "clip": _clip(clip),
        }
        return Draft(identity, created_at, subject, parts)


def _clip(clip: Clip | None) -> dict[str, Any] | None:
    if clip is None:
        return None
    return {
        "start": round(clip.start, 3),
        "end": round(clip.end, 3),
        "tracks": [{"kind": t.kind, "codec": t.codec, "as_arrived": t.native} for t in clip.tracks],
        "left_out": list(clip.left_out),
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, allow_nan=False).encode() + b"\n"
