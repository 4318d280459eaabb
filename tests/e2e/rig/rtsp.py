"""RTSP cameras for the service to pull: starts rtsp_server.py under Debian's Python."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

from tests.e2e.rig.film import AudioCodec, VideoCodec
from tests.e2e.rig.process import Process, Started, free_port
from tests.e2e.rig.recordings import Recordings

SYSTEM_PYTHON = "/usr/bin/python3"
LOOP_SECONDS = 600.0
"""How long a looping camera goes on; the file is repeated, not read again."""


@dataclass(frozen=True)
class Mount:
    """One camera: a Matroska file under a name."""

    name: str
    path: str
    video: VideoCodec | None
    audio: AudioCodec | None

    @classmethod
    def of(
        cls,
        recordings: Recordings,
        voice: str,
        video: VideoCodec | None = "h264",
        audio: AudioCodec | None = "pcmu",
        name: str | None = None,
        loop: bool = False,
        seconds: float | None = None,
    ) -> Self:
        """A camera that shows the face and says this voice once, or again and again.

        `seconds` cuts short what is shown once.
        """
        if loop:
            path = recordings.long_film(voice, video, audio, LOOP_SECONDS)
        else:
            path = recordings.film(voice, video, audio, "mkv", seconds)
        return cls(name or voice, str(path), video, audio)


class RtspServer(Started):
    """Cameras at rtsp://127.0.0.1:PORT/name, in real time, over TCP and UDP; or at rtsps://.

    Each client gets the file from its start. After kill() or stop(), start() serves the same
    cameras on the same port.
    """

    def __init__(
        self,
        mounts: Sequence[Mount],
        folder: Path,
        port: int | None = None,
        host: str = "127.0.0.1",
        user: str | None = None,
        password: str | None = None,
        certificate: Path | None = None,
    ) -> None:
        """`certificate`: a file with key and certificate; with it TLS alone is spoken."""
        self.host, self.port = host, port or free_port(host)
        self.user, self.password = user, password
        self._scheme = "rtsps" if certificate else "rtsp"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / f"rtsp-{self.port}.json"
        config.write_text(
            json.dumps(
                {
                    "host": host,
                    "port": self.port,
                    "user": user,
                    "password": password,
                    "certificate": str(certificate) if certificate else None,
                    "mounts": [asdict(mount) for mount in mounts],
                }
            )
        )
        script = Path(__file__).with_name("rtsp_server.py")
        self.process = Process(
            [SYSTEM_PYTHON, str(script), str(config)],
            folder / f"rtsp-{self.port}.log",
            {"GST_REGISTRY": str(folder / "gst-registry.bin"), "PYTHONPATH": ""},
        )

    def url(self, name: str, credentials: bool = True) -> str:
        """Where the camera is, with user and password if the server wants them."""
        login = ""
        if credentials and self.user:
            login = f"{quote(self.user, safe='')}:{quote(self.password or '', safe='')}@"
        return f"{self._scheme}://{login}{self.host}:{self.port}/{name}"

    def start(self) -> Self:
        """Listen; returns when clients may come."""
        before = self.process.said().count("ready\n")
        self.process.start()
        self.process.wait_ready(lambda: self.process.said().count("ready\n") > before)
        return self

    def plays(self, name: str) -> int:
        """How often a client has asked this camera to play."""
        return self.process.said().count(f"play /{name}\n")

    def freeze(self) -> None:
        """Keep the connections, send nothing."""
        self.process.freeze()

    def thaw(self) -> None:
        """Go on after freeze."""
        self.process.thaw()

    def kill(self) -> None:
        """Be gone at once."""
        self.process.kill()

    def stop(self) -> None:
        """End in order."""
        self.process.stop()
