"""When each picture was seen: by its stamp from one to the next, by arrival over all. Pure.

stamp + base            least delay of the last second, so that a step of the stamps, a pause that
                        they do not count, and drift against the sound's clock all pass
stamp + base + apart    where stamps of sound and pictures are comparable (sender reports): how
                        much later than sound of the same moment pictures come
"""

from collections import deque
from statistics import median

from monitor.ingest.clock.envelope import Envelope

_APART = 2.0
"""Seconds that pictures may come before or after their sound; more is a fault of the reports."""
_STEP = 0.15
"""Seconds of delay that, once lasting, are no delay but a pause or a step back."""
_BACK = 0.5
"""Seconds that stamps run back though pictures come as ever: a step of the clock."""
_SELDOM = 3.0
"""Times what lay between the two pictures before: stamps that go on by more, though no time passed,
have another origin from there on, as have those that run back.

FFmpeg moves a track's stamps so at the first sender report, by whatever the reports are apart."""
_FOLLOWED = 0.25
"""Share of the difference that is made up for at each measurement."""
_COMPARED = 30
"""Comparisons with the sound's clock, of one a second."""
_REPORTS = 5


class Reports:
    """What a track's sender reports say: sender's seconds at stamp 0."""

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=_REPORTS)

    def add(self, stamp: float, sender: float) -> None:
        """At this stamp (seconds) the sender's clock had that second."""
        self._offsets.append(sender - stamp)

    def clear(self) -> None:
        """The stamps that follow have another origin."""
        self._offsets.clear()

    @property
    def offset(self) -> float | None:
        """Sender's seconds at stamp 0; None before the first report."""
        return median(self._offsets) if self._offsets else None


class VideoClock:
    """Maps the stamps of one track of pictures to monotonic seconds."""

    def __init__(self, apart: float = _APART) -> None:
        """`apart`: seconds that pictures may at most come before or after their sound."""
        self._most = apart
        self._base: float | None = None
        """Monotonic seconds at stamp 0, by arrival."""
        self._first: float | None = None
        """The first stamp, as from the origin that stamps have now."""
        self._stamp = 0.0
        """The latest."""
        self._spacing = _BACK
        """Seconds from the one before."""
        self._late = 0.0
        self._arrived = 0.0
        self._envelope = Envelope()
        self._compared: deque[float] = deque(maxlen=_COMPARED)
        self._compared_at = float("-inf")
        self.apart = 0.0
        """Seconds that pictures come later than sound of the same moment, as far as known."""

    @property
    def aligned(self) -> bool:
        """Whether pictures are placed by what is known about the sound's clock."""
        return len(self._compared) > 2

    @property
    def earliest(self) -> float | None:
        """Monotonic seconds of the first picture; None before it."""
        return None if self._first is None else self.time(self._first)

    def restart(self) -> None:
        """The stamps that follow have another origin."""
        self._base = None
        self._envelope.clear()

    def take(self, stamp: float, arrived: float, led: float | None = None) -> float:
        """Take a picture's stamp and arrival in, both in seconds, in the order of arrival.

        `led`: monotonic seconds at stamp 0 as the sound's clock has it; None where unknown.
        Returns by how many seconds stamps have leapt, nearly always 0: by so much is wrong what
        `time` says of an earlier stamp.
        """
        lag = arrived - stamp
        if self._base is None:
            self._base, self._first = lag, stamp
            self._stamp, self._arrived = stamp, arrived
        late = lag - self._base
        waited, self._arrived = arrived - self._arrived, arrived
        moved, self._stamp = stamp - self._stamp, stamp
        # Pictures that come in another order than they are shown in step back as well, a little.
        back = -_BACK if waited < _STEP else -_SELDOM
        if moved < back or moved - waited > max(_BACK, _SELDOM * self._spacing):
            return self._leap(lag)
        if moved > 0:
            self._spacing = moved
        stepped = late > _BACK and self._late < _STEP and waited < _STEP
        if late < 0 or stepped:
            # Nothing comes before it is sent.
            self._base, late = lag, 0.0
            self._envelope.clear()
        self._late = late
        if self._envelope.add(arrived, lag):
            self._follow()
        if led is not None and arrived - self._compared_at >= 1.0:
            self._compared_at = arrived
            self._compare(led)
        return 0.0

    def _leap(self, lag: float) -> float:
        assert self._base is not None
        assert self._first is not None
        moved, self._base = self._base - lag, lag
        # What was seen first was not seen earlier or later for it.
        self._first += moved
        self._late = 0.0
        self._envelope.clear()
        return moved

    def time(self, stamp: float) -> float:
        """Return the monotonic second of a stamp."""
        assert self._base is not None
        return stamp + self._base + self.apart

    def _follow(self) -> None:
        recent = self._envelope.recent()
        if recent is None:
            return
        assert self._base is not None
        more = recent[0] - self._base
        self._base += more if more > _STEP else _FOLLOWED * more

    def _compare(self, led: float) -> None:
        assert self._base is not None
        if abs(led - self._base) <= self._most:
            self._compared.append(led - self._base)
            if self.aligned:
                self.apart = median(self._compared)
        elif self._compared:
            # Reports that place pictures far from their arrival are wrong: some senders' are.
            self._compared.popleft()
            if not self._compared:
                self.apart = 0.0
