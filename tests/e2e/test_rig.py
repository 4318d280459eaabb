"""The rig does what its users rely on: recordings, cameras, browser, peers, closed network."""

import errno
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import av
import httpx
import numpy as np
import pytest

from monitor.analysis.speech import SPEECH_PROBABILITY, SpeechGate
from tests.e2e.rig.browser import Browser
from tests.e2e.rig.film import AudioCodec, Container
from tests.e2e.rig.namespace import ADDRESS
from tests.e2e.rig.peers import Alertmanager, Prometheus
from tests.e2e.rig.process import wait_until
from tests.e2e.rig.receiver import Receiver
from tests.e2e.rig.recordings import HUMAN, SYNTHETIC, WIDE, Recordings
from tests.e2e.rig.rtsp import Mount, RtspServer
from tests.e2e.rig.sound import Sound, faded, read_wav, resampled, speech_level, write_wav


@pytest.fixture(scope="module")
def gate() -> SpeechGate:
    return SpeechGate()


# --- recordings ---


@pytest.mark.parametrize("name", [*HUMAN, *SYNTHETIC, *WIDE])
def test_recording_is_a_minute_of_speech_at_the_common_level(
    recordings: Recordings, gate: SpeechGate, name: str
) -> None:
    recording = recordings.voice(name)
    for path, expected_rate in ((recording.wav48, 48000), (recording.wav16, 16000)):
        sound, rate = read_wav(path)
        assert rate == expected_rate
        assert len(sound) / rate == pytest.approx(recording.seconds, abs=0.01)
        assert speech_level(sound, rate) == pytest.approx(-26, abs=0.5)
        assert np.abs(sound).max() < 0.98
    assert 45 <= recording.seconds <= 60
    probabilities = gate.stream().probabilities(sound)
    assert (probabilities >= SPEECH_PROBABILITY).mean() >= 0.6


@pytest.mark.parametrize("name", [*HUMAN, *SYNTHETIC])
def test_both_classes_have_the_telephone_band(recordings: Recordings, name: str) -> None:
    assert recordings.voice(name).band == "narrow"
    assert _share_above(recordings, name, 4100) < 10**-4


@pytest.mark.parametrize("name", WIDE)
def test_wide_recordings_have_the_upper_band(recordings: Recordings, name: str) -> None:
    assert recordings.voice(name).band == "wide"
    assert _share_above(recordings, name, 4100) > 10**-3


def _share_above(recordings: Recordings, name: str, hertz: float) -> float:
    sound, rate = read_wav(recordings.voice(name).wav16)
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float(power[np.fft.rfftfreq(len(sound), 1 / rate) > hertz].sum() / power.sum())


def test_the_classes_hold_two_people_and_three_engines(recordings: Recordings) -> None:
    human = [recordings.voice(name) for name in HUMAN]
    synthetic = [recordings.voice(name) for name in SYNTHETIC]
    assert {r.origin for r in human} == {"human"}
    assert {r.origin for r in synthetic} == {"synthetic"}
    assert len({r.speaker for r in human}) >= 2
    assert len({r.speaker for r in synthetic}) == 3


def test_unknown_voice_is_named(recordings: Recordings) -> None:
    with pytest.raises(KeyError, match="nobody"):
        recordings.voice("nobody")


@pytest.mark.parametrize(("audio", "container"), [("aac", "mp4"), ("opus", "mkv")])
def test_film_has_face_and_voice(
    recordings: Recordings, audio: AudioCodec, container: Container
) -> None:
    path = recordings.film("human-en", "h264", audio, container)
    with av.open(path) as film:
        assert film.streams.video[0].codec_context.name == "h264"
        assert film.streams.audio[0].codec_context.name == audio
        first, *_, last = film.decode(film.streams.video[0])
        assert isinstance(last, av.VideoFrame)
        assert (last.width, last.height) == (640, 480)
        assert last.time == pytest.approx(recordings.voice("human-en").seconds, abs=0.1)
        moved = np.abs(last.to_ndarray(format="gray").astype(int) - first.to_ndarray(format="gray"))
        assert moved.mean() > 1


def test_damaged_files_are_damaged(recordings: Recordings) -> None:
    for kind in ("cut.mp4", "empty.wav", "empty.mp4", "text.wav"):
        with pytest.raises(av.FFmpegError):
            av.open(recordings.damaged(kind))
    with av.open(recordings.damaged("cut.wav")) as cut:
        frames = sum(frame.samples for frame in cut.decode(audio=0))
    assert frames == pytest.approx(recordings.voice("human-en").seconds * 16000 * 0.4, rel=0.02)
    with av.open(recordings.damaged("video-only.mp4")) as film:
        assert (len(film.streams.video), len(film.streams.audio)) == (1, 0)


# --- RTSP ---


@pytest.fixture
def cameras(recordings: Recordings, tmp_path: Path) -> Iterator[RtspServer]:
    mounts = [
        Mount.of(recordings, "human-en", "h264", "pcmu", name="pcmu", loop=True),
        Mount.of(recordings, "human-en", "h264", "aac", name="aac"),
        Mount.of(recordings, "human-en", "h264", "opus", name="opus"),
        Mount.of(recordings, "human-en", "h265", "aac", name="h265"),
        Mount.of(recordings, "human-en", "vp8", "opus", name="vp8"),
        Mount.of(recordings, "human-en", "h264", "pcmu", name="short", seconds=3),
    ]
    with RtspServer(mounts, tmp_path) as server:
        yield server


def _watch(url: str, seconds: float, transport: str = "tcp") -> tuple[dict[str, int], Sound]:
    """Decoded frames by kind and the sound, until so many seconds of a track have come.

    Raises av.FFmpegError when two seconds pass without data.
    """
    options = {"rtsp_transport": transport, "timeout": "2000000"}
    frames = {"audio": 0, "video": 0}
    sound: list[Sound] = []
    with av.open(url, options=options) as stream:
        for packet in stream.demux():
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    frames["audio"] += 1
                    samples = frame.to_ndarray().reshape(-1)
                    sound.append((samples / 32768).astype(np.float32))
                elif isinstance(frame, av.VideoFrame):
                    frames["video"] += 1
                else:
                    continue
                if frame.time is not None and frame.time > seconds:
                    return frames, np.concatenate(sound)
    return frames, np.concatenate(sound)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_camera_plays_in_real_time_and_each_client_from_the_start(
    recordings: Recordings, cameras: RtspServer, transport: str
) -> None:
    whole = resampled(*read_wav(recordings.voice("human-en").wav48), 8000)
    for _ in range(2):
        began = time.monotonic()
        frames, sound = _watch(cameras.url("pcmu"), 4, transport)
        took = time.monotonic() - began
        assert 3 < took < 7
        assert frames["video"] == pytest.approx(4 * 25, abs=10)
        heard = sound[:16000]
        match = np.correlate(whole[:40000], heard, "valid")
        late = int(match.argmax()) / 8000
        assert late < 0.1
    assert cameras.plays("pcmu") == 2


@pytest.mark.parametrize("name", ["aac", "opus", "h265", "vp8"])
def test_camera_codecs(cameras: RtspServer, name: str) -> None:
    frames, _ = _watch(cameras.url(name), 2)
    assert frames["video"] > 40
    assert frames["audio"] > 60


def test_a_film_shown_once_ends(cameras: RtspServer) -> None:
    frames, _ = _watch(cameras.url("short"), 30)
    assert frames["video"] == pytest.approx(75, abs=3)


def test_camera_wants_digest(recordings: Recordings, tmp_path: Path) -> None:
    mount = Mount.of(recordings, "human-en", "h264", "pcmu", name="door")
    with RtspServer([mount], tmp_path, user="bob", password="p@ss:word") as server:
        with pytest.raises(av.HTTPUnauthorizedError):
            av.open(server.url("door", credentials=False))
        with pytest.raises(av.HTTPUnauthorizedError):
            av.open(server.url("door").replace("bob", "eve"))
        frames, _ = _watch(server.url("door"), 0.5)
        assert frames["video"] > 0


def test_killed_camera_ends_the_stream_and_comes_back_on_its_port(cameras: RtspServer) -> None:
    url = cameras.url("pcmu")
    with av.open(url, options={"rtsp_transport": "tcp", "timeout": "2000000"}) as stream:
        packets = stream.demux()
        next(packets)
        cameras.kill()
        began = time.monotonic()
        for _ in packets:
            pass
        assert time.monotonic() - began < 2
    with pytest.raises(av.ConnectionRefusedError):
        av.open(url)
    cameras.start()
    assert _watch(url, 0.5)[0]["audio"] > 0


def test_frozen_camera_falls_silent_and_thaws(cameras: RtspServer) -> None:
    url = cameras.url("pcmu")
    with av.open(url, options={"rtsp_transport": "tcp", "timeout": "1000000"}) as stream:
        packets = stream.demux()
        next(packets)
        cameras.freeze()
        with pytest.raises((av.TimeoutError, av.ExitError)):
            for _ in packets:
                pass
        cameras.thaw()
    assert _watch(url, 0.5)[0]["audio"] > 0


# --- browser ---

_MEASURE = """async (seconds) => {
  const media = await navigator.mediaDevices.getUserMedia({
    audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false},
    video: true,
  });
  const context = new AudioContext({sampleRate: 48000});
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(media).connect(analyser);
  const buffer = new Float32Array(analyser.fftSize);
  const levels = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await new Promise((done) => setTimeout(done, 40));
    analyser.getFloatTimeDomainData(buffer);
    const power = buffer.reduce((sum, x) => sum + x * x, 0) / buffer.length;
    levels.push(10 * Math.log10(power + 1e-12));
  }
  const video = document.createElement('video');
  video.srcObject = media; video.muted = true;
  await video.play();
  return {levels, width: video.videoWidth, height: video.videoHeight};
}"""

_CANDIDATES = """async () => {
  const media = await navigator.mediaDevices.getUserMedia({audio: true});
  const peer = new RTCPeerConnection();
  peer.addTrack(media.getTracks()[0], media);
  const found = [];
  const done = new Promise((resolve) => {
    peer.onicecandidate = (e) => e.candidate ? found.push(e.candidate.address) : resolve();
  });
  await peer.setLocalDescription();
  await done;
  peer.close();
  return found;
}"""


@pytest.fixture
def site() -> Iterator[str]:
    """A page on loopback (getUserMedia wants a secure origin); anything else is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = b"<!doctype html><link rel=icon href='data:,'><input id=name><h1>rig</h1>"
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Length", str(len(page)))
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_browser_hears_the_recording_and_sees_the_face(
    recordings: Recordings, site: str, tmp_path: Path
) -> None:
    with Browser(tmp_path, recordings.voice("human-en").wav48, recordings.camera()) as browser:
        page = browser.open(site)
        page.fill("#name", "Ada")
        assert page.input_value("#name") == "Ada"
        assert {"127.0.0.1", ADDRESS} <= set(page.evaluate(_CANDIDATES))
        seen: dict[str, Any] = page.evaluate(_MEASURE, 5)
        assert browser.screenshot(page, "rig").stat().st_size > 1000
        assert browser.errors == []
        pid = browser.process.pid
    assert not Path(f"/proc/{pid}").exists()
    assert (seen["width"], seen["height"]) == (640, 480)
    levels = np.array(seen["levels"])
    # Speech: loud syllables near the recording's level, pauses far below, and both of them often.
    assert -32 < 10 * np.log10(np.mean(10 ** (levels / 10))) < -22
    assert np.percentile(levels, 90) - np.percentile(levels, 10) > 15


def test_microphone_that_plays_once_falls_silent(
    recordings: Recordings, site: str, tmp_path: Path
) -> None:
    sound, rate = read_wav(recordings.voice("human-en").wav48)
    write_wav(tmp_path / "short.wav", faded(sound[: 2 * rate], rate), rate)
    with Browser(tmp_path, tmp_path / "short.wav", recordings.camera(), once=True) as browser:
        levels = np.array(browser.open(site).evaluate(_MEASURE, 5)["levels"])
    assert levels[: len(levels) // 4].max() > -30
    assert levels[-len(levels) // 4 :].max() < -60


def test_browser_reports_what_went_wrong(site: str, tmp_path: Path) -> None:
    with Browser(tmp_path) as browser:
        page = browser.open(site)
        page.evaluate("() => { console.error('ouch'); setTimeout(() => { throw Error('late') }) }")
        page.evaluate("() => fetch('http://192.0.2.1/spy').catch(() => 0)")
        wait_until(lambda: browser.failed_requests and browser.page_errors, 5, "errors")
    assert "console: ouch" in browser.console_errors
    assert browser.page_errors == ["page: late"]
    assert browser.outside_requests == ["outside: http://192.0.2.1/spy"]
    assert len(browser.failed_requests) == 1


# --- receiver, Prometheus, Alertmanager ---


def test_receiver_keeps_bytes_and_misbehaves_on_demand() -> None:
    with Receiver() as receiver, httpx.Client(trust_env=False) as client:
        receiver.plan = [503, 0]
        body = b'{"a":  1}\n\xff'
        assert client.post(receiver.url("/a?b=1"), content=body).status_code == 503
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(receiver.url(), content=body)
        assert client.post(receiver.url(), json={"a": 1}).status_code == 204
        receiver.delay = 5
        with pytest.raises(httpx.ReadTimeout):
            client.post(receiver.url(), content=b"slow", timeout=0.3)
        first, _, third, slow = receiver.wait(4)
    assert (first.method, first.path, first.body) == ("POST", "/a?b=1", body)
    assert first.headers["content-length"] == str(len(body))
    assert third.json() == {"a": 1}
    assert slow.body == b"slow"


@pytest.fixture
def exporter() -> Iterator[str]:
    """HOST:PORT of one metric, shown to who bears the token `s3cret`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = self.headers.get("Authorization") == "Bearer s3cret"
            page = b"# TYPE rig_calls gauge\nrig_calls 7\n" if allowed else b""
            self.send_response(200 if allowed else 401)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_prometheus_scrapes_with_the_token_and_pages_through_alertmanager(
    exporter: str, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        "groups: [{name: rig, rules: [{alert: TooManyCalls, expr: rig_calls > 5, "
        "labels: {severity: page}}]}]"
    )
    with (
        Receiver() as receiver,
        Alertmanager(tmp_path / "am", receiver.url()) as alertmanager,
        Prometheus(
            tmp_path / "prom", exporter, "s3cret", rules=[rules], alertmanager=alertmanager
        ) as prometheus,
    ):
        assert prometheus.wait_scraped()["health"] == "up"
        ((labels, value),) = prometheus.wait_for("rig_calls == 7")
        assert (labels["job"], value) == ("monitor", 7)
        alert = alertmanager.wait_alert(alertname="TooManyCalls")
        assert alert["labels"]["severity"] == "page"
        assert prometheus.rules()[0]["health"] == "ok"
        assert receiver.wait()[0].json()["alerts"][0]["labels"]["alertname"] == "TooManyCalls"


def test_prometheus_without_the_token_sees_the_target_down(exporter: str, tmp_path: Path) -> None:
    with Prometheus(tmp_path, exporter) as prometheus:
        target = prometheus.wait_scraped()
        assert target["health"] == "down"
        assert "401" in target["lastError"]


# --- the closed network ---


def test_nothing_outside_can_be_reached() -> None:
    with socket.socket() as connection:
        connection.settimeout(5)
        with pytest.raises(OSError, match="unreachable") as caught:
            connection.connect(("192.0.2.1", 80))
    assert caught.value.errno == errno.ENETUNREACH


def test_the_namespace_has_an_address_beside_loopback() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.bind((ADDRESS, 0))
        one.settimeout(2)
        other.sendto(b"hello", one.getsockname())
        assert one.recv(10) == b"hello"
