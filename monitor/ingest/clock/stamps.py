"""What a sender's stamps are worth, told by the lengths of its packets. Pure."""

SURE = 25
"""Packets alike after which a property of the stamps is believed."""
_EXACT = 0.0015
"""Seconds by which exact stamps are rounded."""
_ALIKE = 0.02
"""Share by which a factor may vary from packet to packet."""
_COUNTED = 0.1
"""Seconds: a shorter pause is believed only of stamps that were exact so far."""
_PASSED = 0.7
"""Share of a pause that must have passed by the arrival for it to be believed."""
_JITTER = 0.03
"""Seconds of a pause that need not have passed if stamps were exact so far."""


class Stamps:
    """Learns from one packet to the next."""

    def __init__(self) -> None:
        self.factor = 1.0
        """Seconds that stamps count for each second of sound, once that is sure; 0 for stamps
        that stand still."""
        self.pausing = False
        """Whether exact stamps have counted a pause."""
        self._exact = self._alike = 0
        """Packets in a row whose stamps count what they last, or the same share of it."""
        self._ratio = 1.0

    @property
    def exact(self) -> bool:
        """Whether stamps have counted for a while what packets last."""
        return self._exact >= SURE

    def restart(self) -> None:
        """Another stream begins."""
        self._exact = 0

    def between(self, step: float, length: float) -> float:
        """Seconds between two packets' sound: `step` by their stamps, the first of `length`."""
        return step / self.factor - length if self.factor else 0.0

    def paused(self, told: float, passed: float) -> bool:
        """Whether a pause that the stamps tell is one, if `passed` seconds have passed."""
        if told <= (_EXACT if self.exact else _COUNTED):
            return False
        if passed <= _PASSED * told - (_JITTER if self.exact else 0.0):
            return False
        self.pausing = self.pausing or self.exact
        return True

    def learn(self, step: float, length: float) -> None:
        """Compare two packets that follow each other."""
        ratio = step / length
        self._exact = self._exact + 1 if abs(ratio - 1) * length <= _EXACT else 0
        self._alike = self._alike + 1 if abs(ratio - self._ratio) < _ALIKE else 0
        self._ratio = ratio
        if self._alike >= SURE and abs(ratio - self.factor) > _ALIKE:
            self.factor = 1.0 if abs(ratio - 1) < _ALIKE else round(max(0.0, ratio), 3)
