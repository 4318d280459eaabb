"""Whether bundles are what was sealed, checked offline: each fault is named, and so is each thing
that could not be checked."""

import errno
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from monitor.evidence import journal, manifest
from monitor.evidence.bundle import ENCRYPTED_SUFFIX, SUFFIX
from monitor.evidence.container import Contents, sha256, unpack
from monitor.evidence.journal import JournalError, Line
from monitor.evidence.manifest import Manifest, ManifestError
from monitor.evidence.signing import PublicKey, SigningKeyError

_AGE = b"age-encryption.org/v1\n"


class State(StrEnum):
    """How a check went."""

    OK = "ok"
    FAILED = "FAILED"
    UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was, or could not be, checked."""

    file: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class _Bundle:
    name: str
    data: bytes | None
    """None if it could not be read."""
    page: Manifest | None
    page_sha256: str


def verify(paths: Sequence[Path], key: PublicKey | None) -> list[Check]:
    """Check bundles, or a folder of them with its journal; what cannot be read is not checked.

    Bundles given one by one are expected in the order in which they were made.
    """
    checks: list[Check] = []
    for path in (p for p in paths if p.is_dir()):
        try:
            files = sorted(f for f in path.iterdir() if f.name.endswith((SUFFIX, ENCRYPTED_SUFFIX)))
        except OSError as error:
            checks.append(_unreadable(path, error))
            continue
        checks += _folder(path, files, key)
    files = [p for p in paths if not p.is_dir()]
    return checks + (_several(files, key, None) if files else [])


def _folder(path: Path, files: Sequence[Path], key: PublicKey | None) -> list[Check]:
    noted, problem = (
        None,
        Check(
            journal.NAME,
            State.UNCHECKED,
            "journal: not there; whether bundles were removed cannot be checked",
        ),
    )
    if (path / journal.NAME).exists():
        try:
            noted = _read(path / journal.NAME)
        except OSError as error:
            problem = _unreadable(path / journal.NAME, error)
    return _several(files, key, noted) + ([problem] if noted is None else [])


def _several(files: Sequence[Path], key: PublicKey | None, noted: bytes | None) -> list[Check]:
    checks: list[Check] = []
    bundles: list[_Bundle] = []
    for file in files:
        try:
            data = _read(file)
        except OSError as error:
            checks.append(_unreadable(file, error))
            bundles.append(_Bundle(file.name, None, None, ""))
            continue
        found, bundle = _one(file, data, key)
        checks += found
        bundles.append(bundle)
    checks += _chain([b for b in bundles if b.page is not None], noted is not None)
    if noted is not None:
        checks += _journal(bundles, noted, key)
    return checks


def _read(path: Path) -> bytes:
    """A file's content; raises OSError, also for a pipe, which may never end."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file")
    return path.read_bytes()


def _unreadable(path: Path, error: OSError) -> Check:
    detail = f"cannot be read: {error.strerror or type(error).__name__}"
    return Check(path.name, State.UNCHECKED, detail)


def _one(path: Path, data: bytes, key: PublicKey | None) -> tuple[list[Check], _Bundle]:
    checks: list[Check] = []

    def say(state: State, detail: str) -> None:
        checks.append(Check(path.name, state, detail))

    if data.startswith(_AGE):
        say(
            State.UNCHECKED,
            "encrypted: manifest, signature and parts can be checked once a recipient has "
            "decrypted it (age -d -i KEY); here only its hash, against the journal",
        )
        return checks, _Bundle(path.name, data, None, "")
    contents = unpack(data)
    for fault in contents.faults:
        say(State.FAILED, fault)
    raw = contents.parts.get(manifest.NAME)
    if raw is None:
        say(State.FAILED, f"{manifest.NAME} is missing")
        return checks, _Bundle(path.name, data, None, "")
    try:
        page = manifest.loads(raw)
    except ManifestError as error:
        say(State.FAILED, f"{manifest.NAME}: {error}")
        return checks, _Bundle(path.name, data, None, sha256(raw))
    for state, detail in (*_signature(contents, raw, page, key), *_parts(contents, page)):
        say(state, detail)
    named = re.match(r"\d{6,}(?=-)", path.name)
    if named is not None and int(named[0]) != page.sequence:
        say(
            State.FAILED,
            f"chain: the file's name says sequence {int(named[0])}, its manifest {page.sequence}",
        )
    return checks, _Bundle(path.name, data, page, sha256(raw))


def _signature(
    contents: Contents, raw: bytes, page: Manifest, key: PublicKey | None
) -> Iterator[tuple[State, str]]:
    signature = contents.parts.get(manifest.SIGNATURE)
    if signature is None:
        yield State.FAILED, f"signature: {manifest.SIGNATURE} is missing"
        return
    try:
        own = PublicKey.read(page.signed_by)
    except SigningKeyError as error:
        yield State.FAILED, f"signature: the key named in {manifest.NAME} is {error}"
        return
    if not own.signed(signature, raw):
        if key is not None and key.signed(signature, raw):
            yield State.FAILED, f"signature: {manifest.NAME} names another key than signed it"
        else:
            yield (
                State.FAILED,
                (f"signature: does not match; {manifest.NAME} or {manifest.SIGNATURE} was changed"),
            )
    elif key is None:
        yield (
            State.UNCHECKED,
            (f"signature: made by key {own.fingerprint}; give --key to check whose that is"),
        )
    elif key.raw != own.raw:
        yield (
            State.FAILED,
            (f"signature: wrong key; made by key {own.fingerprint}, not by {key.fingerprint}"),
        )
    else:
        yield State.OK, f"signature: made by key {own.fingerprint}"


def _parts(contents: Contents, page: Manifest) -> Iterator[tuple[State, str]]:
    good = 0
    for part in page.parts:
        data = contents.parts.get(part.name)
        if data is None:
            yield State.FAILED, f"{part.name}: missing"
        elif len(data) != part.bytes:
            yield State.FAILED, f"{part.name}: has {len(data)} bytes, must have {part.bytes}"
        elif sha256(data) != part.sha256:
            yield State.FAILED, f"{part.name}: its content was changed"
        else:
            good += 1
    expected = [manifest.NAME, manifest.SIGNATURE, *(p.name for p in page.parts)]
    for name in contents.parts:
        if name not in expected:
            yield State.FAILED, f"{name}: not in the manifest"
    found = [n for n in contents.parts if n in expected]
    if found != [n for n in expected if n in contents.parts]:
        yield State.FAILED, "container: the parts are not in the manifest's order"
    if good == len(page.parts):
        yield State.OK, f"parts: all {good} are as they were sealed"


def _chain(bundles: Sequence[_Bundle], journal_known: bool) -> Iterator[Check]:
    for before, after in pairwise(bundles):
        first, second = before.page, after.page
        assert first is not None
        assert second is not None
        detail, state = "", State.FAILED
        if second.sequence <= first.sequence:
            detail = (
                f"chain: sequence {second.sequence} stands after sequence {first.sequence}; "
                "the order was changed"
            )
        elif second.sequence > first.sequence + 1:
            if journal_known:
                # The journal says whether those in between were deleted or removed.
                continue
            state = State.UNCHECKED
            detail = f"chain: what lies between sequence {first.sequence} and this is not here"
        elif second.previous is None or second.previous.manifest_sha256 != before.page_sha256:
            detail = f"chain: was not made after {before.name} as it is now"
        else:
            state, detail = State.OK, f"chain: follows {before.name}"
        yield Check(after.name, state, detail)


def _journal(bundles: Sequence[_Bundle], noted: bytes, key: PublicKey | None) -> Iterator[Check]:
    name = journal.NAME
    try:
        lines = list(journal.read(noted))
    except JournalError as error:
        yield Check(name, State.FAILED, f"journal: {error}")
        return
    if not lines:
        yield Check(name, State.UNCHECKED, "journal: empty; what was removed cannot be checked")
    if noted and not noted.endswith(b"\n"):
        detail = "journal: its last line is cut off and was left out"
        yield Check(name, State.UNCHECKED, detail)
    if lines:
        yield from _journal_key(lines, bundles, key)
    deleted = {line.record.get("id") for line in lines if line.record.get("event") == "deleted"}
    present = {bundle.name: bundle for bundle in bundles}
    known: set[str] = set()
    for line in lines:
        record = line.record
        if record.get("event") != "written":
            continue
        file = str(record.get("file"))
        known.add(file)
        bundle = present.get(file)
        if bundle is None:
            if record.get("id") not in deleted:
                detail = f"removed: line {line.number} says it was written, none says deleted"
                yield Check(file, State.FAILED, detail)
        elif bundle.data is None:
            detail = f"journal: line {line.number} cannot be compared with a file that is unread"
            yield Check(bundle.name, State.UNCHECKED, detail)
        elif sha256(bundle.data) != record.get("sha256"):
            yield Check(bundle.name, State.FAILED, "journal: the file is not the one noted there")
        else:
            yield Check(bundle.name, State.OK, f"journal: as noted in line {line.number}")
    for bundle in bundles:
        if bundle.name not in known:
            yield Check(bundle.name, State.FAILED, "journal: knows no such bundle")


def _journal_key(
    lines: list[Line], bundles: Sequence[_Bundle], key: PublicKey | None
) -> Iterator[Check]:
    used = key or _named(bundles)
    if used is None:
        yield Check(journal.NAME, State.UNCHECKED, "journal: give --key to check who wrote it")
    elif strange := journal.strangers(lines, used):
        numbers = ", ".join(map(str, strange[:5]))
        detail = f"journal: lines not signed by key {used.fingerprint}: {numbers}"
        yield Check(journal.NAME, State.FAILED, detail)
    elif key is not None:
        yield Check(journal.NAME, State.OK, f"journal: {len(lines)} lines, all signed by this key")
    else:
        yield Check(journal.NAME, State.UNCHECKED, "journal: give --key to check who wrote it")


def _named(bundles: Sequence[_Bundle]) -> PublicKey | None:
    """The key that the first readable bundle says it was signed by."""
    page = next((b.page for b in bundles if b.page is not None), None)
    if page is None:
        return None
    try:
        return PublicKey.read(page.signed_by)
    except SigningKeyError:
        # Its own check has said so.
        return None
