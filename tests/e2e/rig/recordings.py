"""The recordings the end-to-end tests play, made once and kept in a build folder."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tests.e2e.rig import broken, people
from tests.e2e.rig import film as films
from tests.e2e.rig.film import AudioCodec, Container, VideoCodec
from tests.e2e.rig.sound import faded, levelled, read_wav, resampled, write_wav
from tests.e2e.rig.voices import VOICES, Voice

DEFAULT_FOLDER = Path("build/e2e")
VERSION = "1"
"""Part of the folder's name; raise it when a recipe changes."""
PLAY_RATE = 48000
SCORE_RATE = 16000
NARROW_RATE = 8000
LONGEST = 60.0
"""Seconds after which a recording is cut."""

Band = Literal["narrow", "wide"]

HUMAN = ("human-en", "human-en-menus", "human-fr", "human-words.narrow")
SYNTHETIC = ("synthetic-flite.narrow", "synthetic-piper.narrow", "synthetic-kokoro.narrow")
"""Alike in band (8 kHz path), level, noise floor and pauses: only the origin differs."""
WIDE = ("human-words", "synthetic-flite", "synthetic-piper", "synthetic-kokoro")
"""The full-band ones."""

CODECS: tuple[tuple[VideoCodec, AudioCodec], ...] = (
    ("h264", "aac"),
    ("h265", "aac"),
    ("vp8", "opus"),
)
"""In which cameras show one of the films."""


@dataclass(frozen=True)
class Recording:
    """One person or engine speaking without a break."""

    name: str
    origin: Literal["human", "synthetic"]
    speaker: str
    language: str
    band: Band
    seconds: float
    wav48: Path
    wav16: Path


class Recordings:
    """The folder of made files; whatever is missing is made when asked for."""

    def __init__(self, folder: Path = DEFAULT_FOLDER) -> None:
        self.folder = (folder / f"v{VERSION}").absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("KOKORO_JA_CACHE", str(self.folder / "kokoro"))

    def voice(self, name: str) -> Recording:
        """The recording of a name in VOICES; `NAME.narrow` went through an 8 kHz path.

        Voices recorded at 8 kHz are narrow under their plain name.
        """
        plain, _, suffix = name.partition(".")
        if plain not in VOICES or suffix not in ("", "narrow"):
            raise KeyError(f"no recording {name!r}; voices are {', '.join(VOICES)}")
        voice = VOICES[plain]
        narrow = suffix == "narrow" or voice.native_rate == NARROW_RATE
        facts = self._made(f"{name}.json", lambda path: self._record(name, voice, narrow, path))
        return Recording(
            name=name,
            origin=voice.origin,
            speaker=voice.speaker,
            language=voice.language,
            band="narrow" if narrow else "wide",
            seconds=float(json.loads(facts.read_text())["seconds"]),
            wav48=self.folder / f"{name}.48000.wav",
            wav16=self.folder / f"{name}.16000.wav",
        )

    def _record(self, name: str, voice: Voice, narrow: bool, facts: Path) -> None:
        spoken = self._made(
            f"{voice.name}.spoken.wav",
            lambda path: write_wav(path, voice.speak(), voice.native_rate),
        )
        rate = NARROW_RATE if narrow else PLAY_RATE
        sound = resampled(*read_wav(spoken), rate)
        sound = faded(levelled(sound[: int(LONGEST * rate)], rate, seed=5), rate)
        for new_rate in (PLAY_RATE, SCORE_RATE):
            samples = resampled(sound, rate, new_rate)
            write = partial(write_wav, sound=samples, rate=new_rate)
            self._made(f"{name}.{new_rate}.wav", write)
        facts.write_text(json.dumps({"seconds": len(sound) / rate}))

    def film(
        self,
        name: str,
        video: VideoCodec | None = "h264",
        audio: AudioCodec | None = "aac",
        container: Container = "mp4",
        seconds: float | None = None,
    ) -> Path:
        """A moving face with this voice; None leaves a track out, `seconds` cuts it short."""
        recording = self.voice(name)
        length = min(seconds or recording.seconds, recording.seconds)
        cut = f".{length:g}s" if seconds else ""
        sound = recording.wav48 if audio else None
        picture = (
            self._made(f"face.{video}.mkv", lambda path: films.draw(path, video)) if video else None
        )
        return self._made(
            f"{name}.{video}.{audio}{cut}.{container}",
            lambda path: films.mux(path, picture, sound, audio, length),
        )

    def long_film(
        self, name: str, video: VideoCodec | None, audio: AudioCodec | None, seconds: float
    ) -> Path:
        """The film over and over until it lasts `seconds`, for servers that loop."""
        once = self.film(name, video, audio, "mkv")
        times = int(seconds / self.voice(name).seconds) + 1
        return self._made(
            f"{name}.{video}.{audio}.x{times}.mkv", lambda path: films.repeat(once, path, times)
        )

    def camera(self, face: bool = True) -> Path:
        """What Chromium's fake camera shows: a moving face, or a test picture."""
        name = "camera-face.mjpeg" if face else "camera-pattern.mjpeg"
        return self._made(name, lambda path: films.camera(path, face))

    def person_camera(self) -> Path:
        """What Chromium's fake camera shows: a filmed person."""
        film = people.fetch(self.folder / "people") / people.ALONE
        return self._made("camera-person.mjpeg", lambda path: films.person_camera(path, film))

    def person(self, name: str, seconds: float) -> Path:
        """A filmed person with this voice."""
        film = people.fetch(self.folder / "people") / people.ALONE
        sound = self.voice(name).wav48
        return self._made(
            f"person.{name}.{seconds:g}s.mkv", lambda path: films.person(path, film, sound, seconds)
        )

    def group(self, seconds: float) -> Path:
        """Five people on a photograph."""
        picture = people.fetch(self.folder / "people") / people.GROUP
        return self._made(
            f"group.{seconds:g}s.mkv", lambda path: films.still(path, picture, seconds)
        )

    def nobody(self) -> Path:
        """A film without a face."""
        return people.fetch(self.folder / "people") / people.NOBODY

    def damaged(self, kind: broken.Kind) -> Path:
        """A file that no player should trust."""
        if kind == "video-only.mp4":
            return self.film("human-en", "h264", None)
        sound = self.voice("human-en").wav16
        return self._made(kind, lambda path: broken.make(path, kind, sound, self.film("human-en")))

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        """The file of this name; made under another name first, so that it is whole or absent."""
        path = self.folder / name
        if not path.exists():
            unfinished = self.folder / f"making-{os.getpid()}.{name}"
            try:
                make(unfinished)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        return path


def main() -> None:
    """Make everything ahead, so that no test waits: `python -m tests.e2e.rig.recordings`."""
    recordings = Recordings(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER)
    for name in (*HUMAN, *SYNTHETIC, *WIDE):
        recordings.voice(name)
        recordings.film(name, "h264", "aac", "mp4")
        recordings.film(name, "h264", "opus", "mkv")
    for name in ("human-en", "synthetic-flite"):
        recordings.film(name, "h264", "pcmu", "mkv")
    for video, audio in CODECS:
        recordings.film("human-en", video, audio, "mkv")
    recordings.camera(face=True)
    recordings.camera(face=False)
    recordings.person_camera()
    recordings.person("human-en", 18)
    recordings.group(8)
    recordings.nobody()
    for kind in broken.KINDS:
        recordings.damaged(kind)


if __name__ == "__main__":
    main()
