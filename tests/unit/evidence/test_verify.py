"""Each way of spoiling evidence is found and named."""

import os
import shutil
from pathlib import Path

import pyrage
import pytest

from monitor.evidence import journal
from monitor.evidence.container import pack, unpack
from monitor.evidence.signing import PublicKey, Signer
from monitor.evidence.verify import Check, State, verify
from tests.unit.evidence.drafts import PARTS, draft, fill, shelf


def failures(checks: list[Check]) -> list[str]:
    return [f"{c.file}: {c.detail}" for c in checks if c.state is State.FAILED]


def unchecked(checks: list[Check]) -> list[str]:
    return [c.detail for c in checks if c.state is State.UNCHECKED]


@pytest.fixture
def key(tmp_path: Path) -> PublicKey:
    return Signer.open(tmp_path / "key.pem").public


def test_what_was_sealed_verifies(tmp_path: Path, key: PublicKey) -> None:
    made, paths = fill(tmp_path, "a", "b", "c")
    for checks in (verify(paths, key), verify([made.folder], key)):
        assert failures(checks) == []
        assert unchecked(checks) == []
    assert len(unchecked(verify(paths[:1], None))) == 1


def test_every_flipped_bit_is_found(tmp_path: Path, key: PublicKey) -> None:
    _, (path,) = fill(tmp_path, "a")
    good = path.read_bytes()
    for at in range(0, len(good), 5):
        spoilt = bytearray(good)
        spoilt[at] ^= 1 << at % 8
        path.write_bytes(spoilt)
        assert failures(verify([path], key)), f"byte {at}"


@pytest.mark.parametrize("part", [*PARTS, "manifest.json", "manifest.sig"])
def test_the_changed_part_is_named(tmp_path: Path, key: PublicKey, part: str) -> None:
    _, (path,) = fill(tmp_path, "a")
    parts = dict(unpack(path.read_bytes()).parts)
    data = bytearray(parts[part])
    data[len(data) // 2] ^= 1
    path.write_bytes(pack({**parts, part: bytes(data)}))
    assert any(part in failure for failure in failures(verify([path], key)))


@pytest.mark.parametrize("part", [*PARTS, "manifest.json", "manifest.sig"])
def test_a_removed_part_is_named(tmp_path: Path, key: PublicKey, part: str) -> None:
    _, (path,) = fill(tmp_path, "a")
    parts = dict(unpack(path.read_bytes()).parts)
    del parts[part]
    path.write_bytes(pack(parts))
    (failure,) = failures(verify([path], key))
    assert part in failure
    assert "missing" in failure


def test_an_added_and_a_moved_part_are_named(tmp_path: Path, key: PublicKey) -> None:
    _, (path,) = fill(tmp_path, "a")
    parts = dict(unpack(path.read_bytes()).parts)
    path.write_bytes(pack({**parts, "more.txt": b"x"}))
    assert failures(verify([path], key)) == [f"{path.name}: more.txt: not in the manifest"]
    path.write_bytes(pack(dict(reversed(parts.items()))))
    assert "order" in failures(verify([path], key))[0]


def test_a_reordered_chain_is_named(tmp_path: Path, key: PublicKey) -> None:
    made, (a, b, c) = fill(tmp_path, "a", "b", "c")
    (failure,) = failures(verify([a, c, b], key))
    assert "the order was changed" in failure
    swapped = made.folder / "swap"
    a.rename(swapped)
    b.rename(a)
    swapped.rename(b)
    found = failures(verify([made.folder], key))
    assert sum("the file's name says" in f for f in found) == 2
    assert any("the order was changed" in f for f in found)


def test_a_replaced_bundle_breaks_the_chain(tmp_path: Path, key: PublicKey) -> None:
    """Made with the true key and the right number, as whoever holds the key could."""
    _, (_, b) = fill(tmp_path, "a", "b")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "key.pem", other)
    _, (forged,) = fill(other, "z")
    assert failures(verify([forged, b], key)) == [
        f"{b.name}: chain: was not made after {forged.name} as it is now"
    ]


def test_a_removed_bundle_is_named_unless_its_deletion_is_noted(
    tmp_path: Path, key: PublicKey
) -> None:
    made, (a, b, c) = fill(tmp_path, "a", "b", "c")
    b.unlink()
    (failure,) = failures(verify([made.folder], key))
    assert failure.startswith(f"{b.name}: removed")
    assert failures(verify([a, c], key)) == []
    assert "between" in unchecked(verify([a, c], key))[0]


def test_a_wrong_key_is_named(tmp_path: Path, key: PublicKey) -> None:
    made, paths = fill(tmp_path, "a")
    other = Signer.open(tmp_path / "other.pem").public
    (failure,) = failures(verify(paths, other))
    assert "wrong key" in failure
    assert key.fingerprint in failure
    assert other.fingerprint in failure
    assert len(failures(verify([made.folder], other))) == 2


def test_a_bundle_signed_anew_is_not_taken_for_the_original(tmp_path: Path, key: PublicKey) -> None:
    forger = Signer.open(tmp_path / "forger.pem")
    _, (path,) = fill(tmp_path, "a")
    parts = dict(unpack(path.read_bytes()).parts)
    page = parts["manifest.json"]
    path.write_bytes(pack({**parts, "manifest.sig": forger.sign(page)}))
    assert "does not match" in failures(verify([path], key))[0]
    assert "names another key" in failures(verify([path], forger.public))[0]


def test_every_flipped_bit_of_the_journal_is_found(tmp_path: Path, key: PublicKey) -> None:
    made, _ = fill(tmp_path, "a", "b")
    path = made.folder / journal.NAME
    good = path.read_bytes()
    for at in range(len(good) - 1, 0, -3):
        spoilt = bytearray(good)
        spoilt[at] ^= 1 << at % 8
        path.write_bytes(spoilt)
        assert failures(verify([made.folder], key)), f"byte {at}"


def test_an_encrypted_bundle_says_what_it_cannot_show(tmp_path: Path, key: PublicKey) -> None:
    identity = pyrage.x25519.Identity.generate()
    made = shelf(tmp_path, str(identity.to_public()))
    kept = made.put(draft("a"))
    path = made.path(kept)
    assert path.name.endswith(".evidence.tar.age")
    assert b"alert.json" not in path.read_bytes()
    checks = verify([path], key)
    assert failures(checks) == []
    assert "decrypted" in unchecked(checks)[0]
    assert failures(verify([made.folder], key)) == []
    opened = tmp_path / path.name.removesuffix(".age")
    opened.write_bytes(pyrage.decrypt(path.read_bytes(), [identity]))
    assert failures(verify([opened], key)) == []
    assert unchecked(verify([opened], key)) == []
    spoilt = bytearray(path.read_bytes())
    spoilt[-1] ^= 1
    path.write_bytes(spoilt)
    assert "not the one noted" in failures(verify([made.folder], key))[0]


@pytest.mark.parametrize(
    "data", [b"", b"x", bytes(1024), b"\xff" * 5000, pack({"manifest.json": b"{"})]
)
def test_what_is_no_bundle_is_refused_in_words(tmp_path: Path, key: PublicKey, data: bytes) -> None:
    path = tmp_path / "x.evidence.tar"
    path.write_bytes(data)
    assert failures(verify([path], key))


def test_a_folder_without_its_journal_is_not_all_checked(tmp_path: Path, key: PublicKey) -> None:
    made, (a, b, c) = fill(tmp_path, "a", "b", "c")
    (made.folder / journal.NAME).unlink()
    checks = verify([made.folder], key)
    assert failures(checks) == []
    assert unchecked(checks) == [
        "journal: not there; whether bundles were removed cannot be checked"
    ]
    for path in (a, b, c):
        path.unlink()
    assert unchecked(verify([made.folder], key)), "nothing is not well either"


def test_a_journal_that_says_nothing_is_not_checked(tmp_path: Path, key: PublicKey) -> None:
    made, _ = fill(tmp_path)
    (made.folder / journal.NAME).write_bytes(b"")
    assert "empty" in unchecked(verify([made.folder], key))[0]


def test_a_journal_cut_off_inside_a_line_says_so(tmp_path: Path, key: PublicKey) -> None:
    made, (a, b) = fill(tmp_path, "a", "b")
    noted = made.folder / journal.NAME
    noted.write_bytes(noted.read_bytes()[:-9])
    b.unlink()
    checks = verify([made.folder], key)
    assert failures(checks) == []
    assert "cut off" in unchecked(checks)[0]


def test_what_cannot_be_read_is_not_checked(tmp_path: Path, key: PublicKey) -> None:
    made, (a, b, c) = fill(tmp_path, "a", "b", "c")
    a.unlink()
    a.mkdir()
    b.unlink()
    os.mkfifo(b)
    c.unlink()
    c.symlink_to(c.name)
    for checks in (verify([made.folder], key), verify([b, c], key)):
        assert failures(checks) == []
        assert sum("cannot be read" in detail for detail in unchecked(checks)) >= 2
    noted = made.folder / journal.NAME
    noted.unlink()
    noted.mkdir()
    assert f"{journal.NAME}: cannot be read: not a file" in [
        f"{c.file}: {c.detail}" for c in verify([made.folder], key)
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"[]", b"{}", b"7", b"null", b"\xff", b"", b'"x"', b"[" * 9000,
        b'{"signature": 7}',
        b'{"previous": null, "signature": ""}',
        b'{"event": "written", "id": ["x"], "previous": null, "signature": ""}',
        b'{"event": {"x": 1}, "id": "x", "previous": null, "signature": ""}',
        b'{"event": "deleted", "id": "x", "n": NaN, "previous": null, "signature": ""}',
        b'{"event": "deleted", "id": "x", "n": 1e999, "previous": null, "signature": ""}',
        b'{"event": "deleted", "id": "x", "n": ' + b"9" * 5000 + b', "signature": ""}',
        b'{"event": "deleted", "id": "\\ud800", "previous": null, "signature": "eA=="}',
        b'{"event": "written", "id": "x", "file": {}, "sha256": [], "previous": null, '
        b'"signature": "eA=="}',
    ],
)  # fmt: skip
def test_an_odd_line_of_the_journal_is_a_fault_in_words(
    tmp_path: Path, key: PublicKey, line: bytes
) -> None:
    made, _ = fill(tmp_path)
    (made.folder / journal.NAME).write_bytes(line + b"\n")
    for known in (key, None):
        assert failures(verify([made.folder], known)) or unchecked(verify([made.folder], known))
    assert failures(verify([made.folder], key))


@pytest.mark.parametrize(
    "digits", [b"-0000000001", b"-0000001000", b"+0000000001", b"0x000000001", b"0_000000001"]
)
def test_a_size_that_is_none_ends_the_reading(tmp_path: Path, digits: bytes) -> None:
    block = bytearray(pack({"media.mka": b"x"}))
    block[124:135] = digits
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block[:512]):06o}\0 ".encode()
    assert any("damaged" in fault for fault in unpack(bytes(block)).faults)
