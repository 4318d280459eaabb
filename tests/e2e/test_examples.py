"""The examples, run as they stand: a call centre's stream goes in, a signed alert comes out."""

import os
import re
import sys
from pathlib import Path

import httpx

from tests.e2e.conftest import SYNTHETIC
from tests.e2e.rig.process import Process, wait_until
from tests.e2e.rig.recordings import Recordings
from tests.e2e.service import TOKEN, Service

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SECRET = "whsec_ZXhhbXBsZSBzZWNyZXQgb2YgYSB0ZXN0"


def test_a_streamed_recording_alerts_the_receiver(recordings: Recordings, tmp_path: Path) -> None:
    receiver = Process(
        [sys.executable, "-u", str(EXAMPLES / "webhook_receiver.py"), "0"],
        tmp_path / "receiver.log",
        env={**os.environ, "MONITOR_WEBHOOK_SECRET": SECRET},
    )
    receiver.start()
    receiver.wait_ready(lambda: "listening on" in receiver.said())
    try:
        port = re.findall(r"listening on (\d+)", receiver.said())[0]
        url = f"http://127.0.0.1:{port}/"
        settings = f'[[webhooks]]\nname = "desk"\nurl = "{url}"\nsecret = "{SECRET}"\n'
        with Service(tmp_path, settings) as service:
            stream = service.url.replace("http", "ws", 1)
            voice = str(recordings.voice(SYNTHETIC).wav16)
            sender = Process(
                [sys.executable, str(EXAMPLES / "send_recording.py"), voice, stream],
                tmp_path / "sender.log",
                env={**os.environ, "TOKEN": TOKEN},
            )
            sender.start()
            try:
                wait_until(
                    lambda: re.search(r" remote \w+ raised \w+$", receiver.said(), re.M),
                    120,
                    "an alert at the receiver",
                )
            finally:
                sender.stop()
        assert httpx.post(url, content=b"{}", trust_env=False).status_code == 401
    finally:
        receiver.stop()
