"""Moving pictures with sound, drawn and encoded by Debian's ffmpeg."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

VideoCodec = Literal["h264", "h265", "vp8"]
AudioCodec = Literal["aac", "opus", "pcmu"]
Container = Literal["mp4", "mkv"]

WIDTH, HEIGHT, RATE = 640, 480, 25
SCENE_SECONDS = 12.0
"""The face's movements fit into this time a whole number of times."""
SCENES = 5
"""How often a film shows the scene: longer than any recording."""
CAMERA_RATE = 30
"""Chromium plays an MJPEG file at 30 pictures a second, whatever it was drawn at."""

_VIDEO = {
    "h264": "-c:v libx264 -profile:v baseline -preset veryfast -b:v 900k",
    "h265": "-c:v libx265 -preset ultrafast -b:v 700k -x265-params log-level=error:bframes=0",
    "vp8": "-c:v libvpx -deadline realtime -cpu-used 8 -b:v 900k",
}
_AUDIO = {
    "aac": "-c:a aac -b:a 96k -ar 48000",
    "opus": "-c:a libopus -b:a 32k -ar 48000",
    "pcmu": "-c:a pcm_mulaw -ar 8000",
}


def face_picture() -> Path | None:
    """A public-domain portrait inside scikit-image, if that is installed."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "data" / "astronaut.png"
    return path if path.exists() else None


def draw(path: Path, codec: VideoCodec) -> None:
    """The moving face once, a key frame each second, no reordered frames."""
    options = f"{_VIDEO[codec]} -pix_fmt yuv420p -g {RATE} -bf 0"
    if codec == "vp8":
        options = options.replace(" -bf 0", "")
    _ffmpeg([*_scene(RATE, SCENE_SECONDS, face=True), *options.split(), str(path)])


def person_camera(path: Path, film: Path) -> None:
    """A filmed person as a file for Chromium's fake camera, forwards and backwards in a loop."""
    turned = "[0:v]scale=-2:480,crop=640:480,fps=30,split[a][b];[b]reverse[c];[a][c]concat=n=2:v=1"
    options = "-an -pix_fmt yuvj420p -q:v 3 -f mjpeg".split()
    _ffmpeg(["-t", "10", "-i", str(film), "-filter_complex", turned, *options, str(path)])


def person(path: Path, film: Path, sound: Path, seconds: float) -> None:
    """A filmed person with a voice, as a recording of a call."""
    scaled = "-vf scale=-2:480,crop=640:480 -map 0:v -map 1:a".split()
    codecs = [*_VIDEO["h264"].split(), "-pix_fmt", "yuv420p", *_AUDIO["opus"].split()]
    inputs = ["-i", str(film), "-i", str(sound)]
    _ffmpeg([*inputs, *scaled, *codecs, "-t", f"{seconds:.3f}", str(path)])


def still(path: Path, picture: Path, seconds: float) -> None:
    """A photograph as a film."""
    scaled = "-vf scale=1280:-2,format=yuv420p".split()
    options = [*_VIDEO["h264"].split(), "-r", str(RATE), "-t", f"{seconds:.3f}"]
    _ffmpeg(["-loop", "1", "-i", str(picture), *scaled, *options, str(path)])


def camera(path: Path, face: bool) -> None:
    """A file for Chromium's fake camera, which it plays in a loop."""
    scene = _scene(CAMERA_RATE, SCENE_SECONDS, face)
    _ffmpeg([*scene, *"-pix_fmt yuvj420p -q:v 5 -f mjpeg".split(), str(path)])


def mux(
    path: Path, picture: Path | None, sound: Path | None, codec: AudioCodec | None, seconds: float
) -> None:
    """The scene again and again with the sound in one file; either may be missing."""
    inputs: list[str] = []
    inputs += ["-stream_loop", str(SCENES - 1), "-i", str(picture)] if picture else []
    inputs += ["-i", str(sound)] if sound else []
    video = "-c:v copy".split() if picture else []
    audio = _AUDIO[codec].split() if codec else []
    _ffmpeg([*inputs, *video, *audio, "-t", f"{seconds:.3f}", str(path)])


def repeat(source: Path, path: Path, times: int) -> None:
    """The source `times` in a row, not encoded again."""
    _ffmpeg(["-stream_loop", str(times - 1), "-i", str(source), "-c", "copy", str(path)])


def _scene(rate: int, seconds: float, face: bool) -> list[str]:
    """Inputs and filters of the picture; the face sways, nods and turns."""
    picture = face_picture() if face else None
    if picture is None:
        return ["-f", "lavfi", "-i", f"testsrc2=s={WIDTH}x{HEIGHT}:r={rate}:d={seconds}"]
    # The face lies around (225, 115) of 512x512; three times as large it is about 300 pixels.
    # Enlarged and cut once, then moved: moving the large picture costs ten times as much.
    sway, nod, turn = "40*sin(2*PI*t/4)", "24*sin(2*PI*t/3)", "0.06*sin(2*PI*t/6)"
    filters = (
        f"scale=1536:1536,crop=800:600:275:70,format=yuv420p,loop=-1:1:0,setpts=N/{rate}/TB,"
        f"rotate='{turn}':c=gray,crop={WIDTH}:{HEIGHT}:x='80+{sway}':y='60+{nod}'"
    )
    return ["-framerate", str(rate), "-i", str(picture), "-vf", filters, "-t", f"{seconds}"]


def _ffmpeg(arguments: list[str]) -> None:
    """Run ffmpeg; raises RuntimeError with its words if it fails."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr.strip()}")
