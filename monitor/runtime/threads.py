"""Threads: begun here so that none dies unheard, named, and made to take turns."""

import ctypes
import sys
import threading
import time
from collections.abc import Callable

from monitor.runtime import failures

AGAIN = 0.5
"""Seconds before a thread whose work failed goes on with it."""
_PR_SET_NAME = 15
_LONGEST_NAME = 15
"""Bytes that the kernel keeps."""


def begin(name: str, task: str, work: Callable[[], None], *, lasting: bool) -> threading.Thread:
    """Begin a daemon thread; what `work` raises is logged and counted as `task`.

    A `lasting` one goes on then, for as long as the process lives or until `work` returns.
    Raises RuntimeError where the system has no further thread.
    """
    thread = threading.Thread(target=_run, args=(task, work, lasting), name=name, daemon=True)
    thread.start()
    return thread


def _run(task: str, work: Callable[[], None], lasting: bool) -> None:
    named(task)
    try:
        while not _succeeds(task, work) and lasting:
            time.sleep(AGAIN)
    finally:
        # An exception that left the thread knows this frame, and so would keep what work holds.
        del work


def _succeeds(task: str, work: Callable[[], None]) -> bool:
    try:
        work()
    except BaseException as error:  # noqa: BLE001
        # Nobody above a thread would hear of it.
        failures.heard(task, error)
        return False
    finally:
        del work
    return True


def named(name: str) -> None:
    """Name the calling thread, so that `top -H` and `perf` tell what it does.

    Python itself does so only from 3.14 on. By a system call, since a file in /proc cannot be
    opened while every descriptor is in use; elsewhere than on Linux nothing happens.
    """
    call = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    if call is not None:
        call(_PR_SET_NAME, name.encode()[:_LONGEST_NAME], 0, 0, 0)


SWITCH = 0.0005
"""Seconds for which a thread may hold Python's lock while others wait for it. Python's own 5 ms
make decoding, inference and the event loop wait for each other longer than their work takes."""


def share_lock() -> None:
    """Let the threads of this process take turns faster."""
    sys.setswitchinterval(SWITCH)
