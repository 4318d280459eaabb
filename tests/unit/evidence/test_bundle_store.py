"""Bundles stay whole and numbered, whatever happens to the service or its disk."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from monitor.evidence import journal
from monitor.evidence.journal import JournalError
from monitor.evidence.signing import Signer, SigningKeyError
from monitor.evidence.verify import State, verify
from tests.unit.evidence.drafts import draft, fill, shelf


def failed(folder: Path, key: Path) -> list[str]:
    checks = verify([folder], Signer.open(key).public)
    return [c.detail for c in checks if c.state is State.FAILED]


def test_only_the_service_may_read(tmp_path: Path) -> None:
    made, (path,) = fill(tmp_path, "a")
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.folder.stat().st_mode & 0o777 == 0o700
    assert (made.folder / journal.NAME).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    first = Signer.open(path).public
    assert Signer.open(path).public.raw == first.raw
    path.chmod(0o644)
    with pytest.raises(SigningKeyError, match="key.pem"):
        Signer.open(path)
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(SigningKeyError, match="PEM"):
        Signer.open(path)


def test_a_restart_goes_on_with_the_chain(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b")
    made, _ = fill(tmp_path, "c")
    assert [k.sequence for k in made] == [3, 2, 1]
    assert failed(made.folder, tmp_path / "key.pem") == []


def test_a_kill_before_the_rename_loses_nothing(tmp_path: Path) -> None:
    made, (path,) = fill(tmp_path, "a")
    path.rename(path.with_name(path.name + ".part"))
    (made.folder / "000002-x.evidence.tar.part").write_bytes(b"half a bundle")
    again = shelf(tmp_path)
    assert path.exists()
    assert not list(again.folder.glob("*.part"))
    assert failed(again.folder, tmp_path / "key.pem") == []


def test_a_kill_inside_a_line_of_the_journal_loses_only_that(tmp_path: Path) -> None:
    made, _ = fill(tmp_path, "a")
    with (made.folder / journal.NAME).open("ab") as file:
        file.write(b'{"event": "writ')
    again, _ = fill(tmp_path, "b")
    assert [k.id for k in again] == ["b", "a"]
    assert failed(again.folder, tmp_path / "key.pem") == []


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    made, _ = fill(tmp_path, "a", "b")
    path = made.folder / journal.NAME
    path.write_bytes(path.read_bytes().replace(b'"sequence": 1', b'"sequence": 7'))
    with pytest.raises(JournalError, match="line"):
        shelf(tmp_path)
    path.write_bytes(b"")
    fill(tmp_path, "c")
    with pytest.raises(JournalError, match="key"):
        shelf(tmp_path, key="other.pem")


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = fill(tmp_path, "a")
    before = sorted(made.folder.iterdir())
    noted = (made.folder / journal.NAME).read_bytes()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("pwrite", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="No space"):
                made.put(draft("b"))
        assert sorted(made.folder.iterdir()) == before
        assert (made.folder / journal.NAME).read_bytes() == noted
    assert made.put(draft("b")).sequence == 2
    assert failed(made.folder, tmp_path / "key.pem") == []


def test_what_is_deleted_stays_in_the_journal(tmp_path: Path) -> None:
    made = shelf(tmp_path)
    old = [made.put(draft(n, "2026-01-01T00:00:00+00:00")) for n in ("a", "b")]
    made.put(draft("c", "2026-03-01T00:00:00+00:00"))
    when = datetime(2026, 2, 1, tzinfo=UTC)
    assert {k.id for k in made.older(when)} == {"a", "b"}
    made.delete(old[:1], "retention")
    made.delete(old[:1], "retention")
    assert not made.path(old[0]).exists()
    assert {k.id for k in shelf(tmp_path)} == {"b", "c"}
    assert (made.folder / journal.NAME).read_bytes().count(b'"deleted"') == 1
    assert failed(made.folder, tmp_path / "key.pem") == []


def test_retention_frees_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, (path,) = fill(tmp_path, "a")
    write = os.pwrite

    def full(handle: int, data: bytes, at: int) -> int:
        if path.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    made.delete(list(made), "retention")
    assert list(made) == []
    assert failed(made.folder, tmp_path / "key.pem") == []
