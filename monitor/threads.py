"""Threads: their names as the operating system shows them, and how they take turns."""

import sys
import threading
from pathlib import Path


def named(name: str) -> None:
    """Name the calling thread, so that `top -H` and `perf` tell what it does.

    Python itself does so only from 3.14 on. Only Linux has the file; elsewhere nothing happens.
    """
    comm = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
    if comm.exists():
        # Longer names are cut by the kernel.
        comm.write_text(name)


SWITCH = 0.0005
"""Seconds for which a thread may hold Python's lock while others wait for it. Python's own 5 ms
make decoding, inference and the event loop wait for each other longer than their work takes."""


def share_lock() -> None:
    """Let the threads of this process take turns faster."""
    sys.setswitchinterval(SWITCH)
