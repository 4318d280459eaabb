"""Debian's rsyslog as a receiver that takes CEF apart, and writes what it found as JSON."""

import json
from pathlib import Path
from typing import Any, Self

from tests.e2e.rig.process import Process, Started, free_port, wait_until

RSYSLOG = "/usr/sbin/rsyslogd"
_RULES = """version=2
rule=:%found:cef%
rule=:%found:json%
"""


class Rsyslog(Started):
    """Listens for octet-counted messages on TCP, and on TLS if given a certificate.

    `certificate` is one file with key and certificate.
    """

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._out = folder / "messages.jsonl"
        rules = folder / "cef.rulebase"
        rules.write_text(_RULES)
        driver = ""
        stream = ""
        if certificate is not None:
            files = "".join(
                f' defaultNetstreamDriver{kind}File="{certificate}"'
                for kind in ("CA", "Cert", "Key")
            )
            driver = f'global(defaultNetstreamDriver="gtls"{files})\n'
            stream = ' streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon"'
        config = folder / "rsyslog.conf"
        config.write_text(
            f'{driver}global(workDirectory="{folder}" maxMessageSize="256k")\n'
            'module(load="mmnormalize")\n'
            f'module(load="imtcp"{stream})\n'
            f'input(type="imtcp" address="127.0.0.1" port="{self.port}" ruleset="take")\n'
            'template(name="line" type="list" option.jsonf="on") {\n'
            ' property(outname="app" name="app-name" format="jsonf")\n'
            ' property(outname="msgid" name="msgid" format="jsonf")\n'
            ' property(outname="severity" name="syslogseverity-text" format="jsonf")\n'
            ' property(outname="timestamp" name="timereported" dateFormat="rfc3339"'
            ' format="jsonf")\n'
            ' property(outname="parsed" name="$!all-json" format="jsonfr")\n'
            "}\n"
            'ruleset(name="take") {\n'
            f' action(type="mmnormalize" rulebase="{rules}" useRawMsg="off")\n'
            f' action(type="omfile" file="{self._out}" template="line")\n'
            "}\n"
        )
        self.process = Process(
            [RSYSLOG, "-n", "-f", str(config), "-i", str(folder / "rsyslog.pid")],
            folder / "rsyslog.log",
        )

    def messages(self) -> list[dict[str, Any]]:
        """Everything that came, taken apart; `found` is what the parser made of the body."""
        if not self._out.exists():
            return []
        # A line that is still being written has no end yet.
        lines = [li for li in self._out.read_text().splitlines(keepends=True) if li.endswith("\n")]
        return [(m := json.loads(line)) | json.loads(m["parsed"]) for line in lines]

    def wait(self, count: int, timeout: float = 20) -> list[dict[str, Any]]:
        """The messages, once there are at least `count`."""
        wait_until(lambda: len(self.messages()) >= count, timeout, f"syslog message {count}")
        return self.messages()

    def start(self) -> Self:
        """Run it."""
        self.process.start()
        self.process.wait_ready(self._listens, 30)
        return self

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def _listens(self) -> bool:
        needle = f"0100007F:{self.port:04X} 00000000:0000 0A"
        return needle in Path("/proc/net/tcp").read_text()
