"""What lies in the database tells nothing, and keys differ by purpose."""

import pytest

from monitor.cluster.seal import Seal, key, name_of

WANTED = {"uri": "rtsp://user:hunter2@camera/stream", "token": "t"}


def test_credentials_are_not_to_be_read() -> None:
    sealed = Seal("s" * 32).close(WANTED)
    assert "hunter2" not in sealed
    assert Seal("s" * 32).open(sealed) == WANTED
    with pytest.raises(ValueError, match=r"cluster\.secret"):
        Seal("x" * 32).open(sealed)


def test_keys_differ_by_purpose() -> None:
    assert key("s" * 32, "tickets") != key("s" * 32, "sources")


def test_a_source_of_the_settings_has_the_same_id_at_every_start() -> None:
    assert name_of(WANTED) == name_of(dict(reversed(WANTED.items())))
    assert name_of(WANTED) != name_of({**WANTED, "token": "u"})
