"""Machines of a simulated network: namespaces on a bridge, each with its address and processes."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.e2e.rig.process import Process, Started, wait_until

NETWORK = "10.77.0"
HERE = f"{NETWORK}.254"
"""Where the bridge, and so the test itself, can be reached from all machines."""
_BRIDGE = "br77"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Bridge(Started):
    """What the machines hang on; in the test's own namespace, with which it goes."""

    def start(self) -> Self:
        """Make it."""
        _ip("link", "add", _BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{HERE}/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        return self

    def stop(self) -> None:
        """Take it down."""
        _ip("link", "del", _BRIDGE)


class Machine(Started):
    """One machine: networks, mounts and processes of its own; nothing of it outlives it."""

    def __init__(self, number: int, folder: Path, private: Path) -> None:
        """`private` is a folder that is empty on every machine, whatever others put there."""
        self.number = number
        self.address = f"{NETWORK}.{number}"
        self._outer, self._inner = f"m{number}", f"eth{number}"
        self._private = private
        self._folder = folder / f"machine{number}"
        # The first process of its namespace: when it is killed, so is every other one there.
        self._init = Process(
            ["unshare", "-n", "-m", "-p", "--fork", "--kill-child", "--mount-proc",
             "sleep", "infinity"],
            self._folder / "init.log",
        )  # fmt: skip

    def start(self) -> Self:
        """Switch it on."""
        self._init.start()
        _ip("link", "add", self._outer, "type", "veth", "peer", "name", self._inner)
        _ip("link", "set", self._inner, "netns", str(self._pid()))
        _ip("link", "set", self._outer, "master", _BRIDGE, "up")
        self.run(
            f"mount -t tmpfs tmpfs {self._private} && ip link set lo up && "
            f"ip addr add {self.address}/24 dev {self._inner} && ip link set {self._inner} up"
        )
        return self

    def process(self, command: Sequence[str], name: str, env: Mapping[str, str]) -> Process:
        """A program that is to run here."""
        return Process([*self._enter(), *command], self._folder / f"{name}.log", env)

    def unplug(self) -> None:
        """Cut its cable: nobody is told anything."""
        _ip("link", "set", self._outer, "down")

    def plug(self) -> None:
        """Mend the cable."""
        _ip("link", "set", self._outer, "up")

    def kill(self) -> float:
        """Switch it off; return when, by the monotonic clock."""
        self._init.kill()
        return time.monotonic()

    def stop(self) -> None:
        """Switch it off."""
        self._init.kill()

    def run(self, script: str) -> str:
        """Run a shell script here; return what it wrote."""
        command = [*self._enter(), "sh", "-c", script]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout

    def _enter(self) -> list[str]:
        return ["nsenter", "-t", str(self._pid()), "-n", "-m", "-p"]

    def _pid(self) -> int:
        parent = self._init.pid
        children = Path(f"/proc/{parent}/task/{parent}/children")
        # Until it sleeps its namespaces are not all made.
        return wait_until(lambda: _sleeping(children.read_text().split()), 10, "a machine")


def _sleeping(children: list[str]) -> int:
    for child in children:
        if Path(f"/proc/{child}/comm").read_text().strip() == "sleep":
            return int(child)
    return 0
