"""Room that is kept for a call which may begin: taken before anything is awaited."""

from collections.abc import Callable


class Place:
    """Counts like a call from its making to `release`."""

    def __init__(self, released: Callable[[], None]) -> None:
        """`released` hears once that it counts no more."""
        self._released: Callable[[], None] | None = released

    def release(self) -> None:
        """Count no more: the call has begun, or will not. A second time does nothing."""
        released, self._released = self._released, None
        if released is not None:
            released()

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
