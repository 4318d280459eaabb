"""Certificates are verified unless somebody says otherwise, and faults name the setting."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.ingest.connection.trust import Trust
from tests.certificates import Issuer, certificate


@contextmanager
def server(file: Path, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> Iterator[int]:
    """Shake hands with whoever comes; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.minimum_version = minimum
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    # What the other side thinks of us is what the test looks at.
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_faults_are_told_apart(tmp_path: Path) -> None:
    ours, other = Issuer.new(tmp_path, "ours"), Issuer.new(tmp_path, "other")
    trust = Trust(ca_file=ours.path, setting="rtsp")
    cases = {
        certificate(tmp_path, "127.0.0.1", issuer=ours): "",
        certificate(tmp_path, "localhost", issuer=ours): "not for 127.0.0.1 (rtsp.tls_verify)",
        certificate(tmp_path, "127.0.0.1", issuer=ours, expired=True): "expired (rtsp.tls_verify)",
        certificate(tmp_path, "127.0.0.9", issuer=other): "not trusted (rtsp.tls_ca_file)",
    }
    for file, words in cases.items():
        with server(file) as port:
            assert trust.fault("127.0.0.1", port, 5).endswith(words), file
            assert bool(trust.fault("127.0.0.1", port, 5)) is bool(words), file
            assert Trust(verify=False).fault("127.0.0.1", port, 5) == ""


def test_what_speaks_no_tls_or_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = int(plain.getsockname()[1])

        def hang_up() -> None:
            connection, _ = plain.accept()
            connection.sendall(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert "the TLS handshake failed" in Trust().fault("127.0.0.1", port, 5)
        thread.join()
    # Nobody listens: no fault of TLS.
    assert Trust().fault("127.0.0.1", port, 5) == ""


def test_ffmpeg_is_told_to_verify_and_whom_to_trust(tmp_path: Path) -> None:
    file = Issuer.new(tmp_path, "ours").path
    assert Trust(ca_file=file).options() == {"tls_verify": "1", "ca_file": str(file)}
    assert Trust(verify=False).options() == {"tls_verify": "0"}
    found = Trust().options()
    assert found["tls_verify"] == "1"
    assert Path(found["ca_file"]).is_file()


def test_files_that_hold_no_certificate_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.pem"
    with pytest.raises(ValueError, match=r"rtsp.tls_ca_file: .*wrong.pem: not a file of cert"):
        Trust(ca_file=wrong, setting="rtsp").options()
    wrong.write_text("no certificate")
    with pytest.raises(ValueError, match="not a file of certificates"):
        Trust(ca_file=wrong).context()
    monkeypatch.setattr("monitor.ingest.connection.trust._BUNDLES", ())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ValueError, match="the system keeps no file of certificates"):
        Trust().options()
