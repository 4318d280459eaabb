"""REST: evidence bundles, listed and downloaded."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse
from typing_extensions import TypedDict

from monitor.evidence.bundle_store import BundleStore, Kept
from monitor.evidence.manifest import Link
from monitor.evidence.signing import PublicKey
from monitor.evidence.verify import State, verify
from monitor.evidence.writer import Condition
from monitor.schema.records import described
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.description import DescribedRoute, refusals
from monitor.web.problems import Problem

_ENCRYPTED, _PLAIN = "application/octet-stream", "application/x-tar"
BundleId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


@described
class BundleRecord(TypedDict):
    """An evidence bundle."""

    id: str
    sequence: int
    """Place in the chain, from 1."""
    created_at: str
    call: str
    participant: str
    alert: str
    """Id of the alert that it was made for."""
    file: str
    bytes: int
    sha256: str
    """Of the file."""
    manifest_sha256: str
    encrypted: bool
    href: str
    """Where to download it."""


@described
class LinkRecord(TypedDict):
    """The end of the chain of bundles."""

    sequence: int
    manifest_sha256: str


@described
class EvidenceRecord(TypedDict):
    """The bundles, and whether more are being made."""

    state: Literal["recording", "off", "degraded"]
    detail: str
    """Why it is degraded."""
    public_key: str | None
    """Verifies them: `deepfake-monitor verify BUNDLE --key KEY`."""
    head: LinkRecord | None
    bundles: list[BundleRecord]


@described
class CheckRecord(TypedDict):
    """One check of a bundle."""

    state: State
    detail: str


@described
class VerificationRecord(TypedDict):
    """All checks of a bundle, and the worst of them."""

    state: State
    checks: list[CheckRecord]


def router(
    gatekeeper: Gatekeeper,
    shelf: BundleStore | None,
    recording: bool,
    condition: Callable[[], Condition],
    downloaded: Callable[[Kept, str], Awaitable[None]],
) -> APIRouter:
    """Return the routes; without a shelf nothing is listed.

    `recording` tells whether calls are recorded at all; `downloaded(bundle, token's name)` hears
    of each download before it begins.
    """
    routes = APIRouter(prefix="/api/v1", tags=["evidence"], route_class=DescribedRoute)
    read = Depends(gatekeeper.require("read"))
    reader = Annotated[Grant, Depends(gatekeeper.require("read"))]

    async def listed(limit: int, call: str | None, alert: str | None) -> list[BundleRecord]:
        if shelf is None:
            return []
        # In a thread: the shelf may be waiting for its disk.
        known = await asyncio.to_thread(list, shelf)
        wanted = (
            kept
            for kept in known
            if (call is None or kept.call == call) and (alert is None or kept.alert == alert)
        )
        return [_record(kept) for kept, _ in zip(wanted, range(limit), strict=False)]

    @routes.get("/evidence", dependencies=[read])
    async def list_bundles(
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        call: str | None = None,
        alert: str | None = None,
    ) -> EvidenceRecord:
        """Bundles, newest first; whether they are being written; the key that verifies them."""
        now = condition()
        head = shelf.head if shelf is not None else None
        return {
            "state": "degraded" if now.degraded else "recording" if recording else "off",
            "detail": now.detail,
            "public_key": shelf.public_key if shelf is not None else None,
            "head": _link(head) if head is not None else None,
            "bundles": await listed(limit, call, alert),
        }

    @routes.get("/alerts/{alert_id}/evidence", dependencies=[read])
    async def list_of_alert(alert_id: str) -> list[BundleRecord]:
        """Bundles that were made for one alert; none if its call is not recorded."""
        return await listed(1000, None, alert_id)

    @routes.get("/evidence/{bundle_id}/verification", dependencies=[read], responses=refusals(404))
    async def check_bundle(bundle_id: BundleId) -> VerificationRecord:
        """Check a bundle as it lies on this machine, with this service's own key.

        Proof for somebody else is the same check on a machine of theirs: `verify BUNDLE --key`.
        """
        kept = shelf.find(bundle_id) if shelf is not None else None
        if shelf is None or kept is None:
            raise _gone()
        try:
            key = PublicKey.read(shelf.public_key)
            found = await asyncio.to_thread(verify, [shelf.path(kept)], key)
        except FileNotFoundError as error:
            raise _gone() from error
        worst = [s for s in (State.FAILED, State.UNCHECKED) if any(c.state is s for c in found)]
        return {
            "state": worst[0] if worst else State.OK,
            "checks": [{"state": c.state, "detail": c.detail} for c in found],
        }

    bundle = {
        kind: {"schema": {"type": "string", "format": "binary"}} for kind in (_ENCRYPTED, _PLAIN)
    }

    @routes.get("/evidence/{bundle_id}", responses={200: {"content": bundle}, **refusals(404)})
    async def download_bundle(bundle_id: BundleId, grant: reader) -> FileResponse:
        """One bundle; who took it is noted."""
        kept = shelf.find(bundle_id) if shelf is not None else None
        if shelf is None or kept is None:
            raise _gone()
        path = shelf.path(kept)
        if not await asyncio.to_thread(path.is_file):
            raise _gone()
        await downloaded(kept, grant.name)
        kind = _ENCRYPTED if kept.encrypted else _PLAIN
        return FileResponse(
            path, media_type=kind, filename=kept.file, headers={"Cache-Control": "no-store"}
        )

    return routes


def _gone() -> Problem:
    return Problem(404, "No such evidence", "the bundle was never here or has been deleted")


def _link(link: Link) -> LinkRecord:
    return {"sequence": link.sequence, "manifest_sha256": link.manifest_sha256}


def _record(kept: Kept) -> BundleRecord:
    return {
        "id": kept.id,
        "sequence": kept.sequence,
        "created_at": kept.created_at,
        "call": kept.call,
        "participant": kept.participant,
        "alert": kept.alert,
        "file": kept.file,
        "bytes": kept.bytes,
        "sha256": kept.sha256,
        "manifest_sha256": kept.manifest_sha256,
        "encrypted": kept.encrypted,
        "href": f"/api/v1/evidence/{kept.id}",
    }
