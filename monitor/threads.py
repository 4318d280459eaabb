"""Names of threads as the operating system shows them."""

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
