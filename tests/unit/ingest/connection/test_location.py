"""Which URLs name a stream, and that a password's bare # / ? is noticed and not repeated."""

import pytest

from monitor.ingest.connection.location import SCHEMES, located


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("rtsp://camera/stream", "camera"),
        ("RTSPS://Camera:322/stream", "camera"),
        ("rtsp://bob:p%23%2F%3F%40ss@camera/stream", "camera"),
        ("rtsp://bob:p@ss@camera/stream", "camera"),
        ("rtsp://[::1]:554/stream@2", "::1"),
        ("rtsp://camera:554/stream@2", "camera"),
        ("rtsp://10.0.0.1:554/a@b.example", "10.0.0.1"),
        ("rtsp://camera:554/live?user=me@mail.example&password=x", "camera"),
        ("rtsp://camera/user=a_password=b@c_channel=1_stream=0.sdp?real_stream", "camera"),
        ("whep+https://sfu.example/whep/room#1", "sfu.example"),
        ("rtsp://cam.example:8554/me@mail.example", "cam.example"),
        ("rtsp://cam.example:9000/live/me@mail.example", "cam.example"),
        ("rtsp://10.0.0.1:9000/me@mail.example", "10.0.0.1"),
    ],
)
def test_a_stream_is_located(url: str, host: str) -> None:
    parts = located(url)
    assert parts.hostname == host
    assert parts.scheme in SCHEMES


@pytest.mark.parametrize("sign", "#/?")
@pytest.mark.parametrize("place", ["hu{}sh", "{}hush", "12{}34", "hush{}", "1{}2{}3", "hu@12{}sh"])
@pytest.mark.parametrize("host", ["camera", "10.0.0.1:554", "[::1]", "camera.example"])
@pytest.mark.parametrize("path", ["", "/", "/live?x#y"])
def test_a_password_that_is_not_encoded_is_told_of(
    sign: str, place: str, host: str, path: str
) -> None:
    password = place.replace("{}", sign)
    with pytest.raises(ValueError, match="percent-encode") as refused:
        located(f"rtsp://admin:{password}@{host}{path}")
    assert "hu" not in str(refused.value)
    assert "12" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://ad#min:hush@camera/", "rtsp://ad/min:hush@camera/", "rtsp://camera:hush/",
        "rtsp://ann.doe:12/hush@camera/", "rtsp://ann.doe:12?hush@10.0.0.1/x",
        "rtsp://admin:hu[sh@camera/", "rtsp://admin:hush\u2100@camera/", "rtsp://camera:99999/",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words_without_it(url: str) -> None:
    with pytest.raises(ValueError, match="percent-encode") as refused:
        located(url)
    assert "hush" not in str(refused.value)
    assert "sh\u2100" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://camera/", "rtsp:///stream", "camera", "rtsp://", ""])
def test_what_is_no_stream_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="begins with rtsp"):
        located(url)
