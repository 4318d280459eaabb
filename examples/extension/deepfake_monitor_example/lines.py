"""A destination: a line of JSON for each alert, in a file."""

import asyncio
import json
from pathlib import Path

from monitor.schema.messages import DeliveryError, Message


class LinesDestination:
    """Takes an alert once its line is written; the service tries again what failed."""

    def __init__(self, path: str) -> None:
        """`path` comes from `options` in the settings; what is wrong with it is a ValueError."""
        self._path = Path(path)
        if not self._path.parent.is_dir():
            raise ValueError("there is no such folder")

    async def send(self, message: Message) -> None:
        """Write the alert."""
        line = json.dumps({"key": message.key, **message.record})
        try:
            await asyncio.to_thread(self._write, line)
        except OSError as error:
            raise DeliveryError(str(error.strerror)) from error

    def _write(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    async def run(self) -> None:
        """Nothing is to be done between alerts."""

    async def close(self) -> None:
        """Nothing is held."""
