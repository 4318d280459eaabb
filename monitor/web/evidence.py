"""REST: evidence bundles, listed and downloaded."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import FileResponse

from monitor.evidence.shelf import Kept, Shelf
from monitor.evidence.signing import PublicKey
from monitor.evidence.verify import State, verify
from monitor.evidence.writer import Condition
from monitor.web.auth import Gatekeeper, Grant
from monitor.web.problems import Problem

BundleId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


def router(
    gatekeeper: Gatekeeper,
    shelf: Shelf | None,
    recording: bool,
    condition: Callable[[], Condition],
    downloaded: Callable[[Kept, str], Awaitable[None]],
) -> APIRouter:
    """Return the routes; without a shelf nothing is listed.

    `recording` tells whether calls are recorded at all; `downloaded(bundle, token's name)` hears
    of each download before it begins.
    """
    routes = APIRouter(prefix="/api/v1", tags=["evidence"])
    read = Depends(gatekeeper.require("read"))
    reader = Annotated[Grant, Depends(gatekeeper.require("read"))]

    async def listed(limit: int, call: str | None, alert: str | None) -> list[dict[str, Any]]:
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
    ) -> dict[str, Any]:
        """Bundles, newest first; whether they are being written; the key that verifies them."""
        now = condition()
        head = shelf.head if shelf is not None else None
        state = "degraded" if now.degraded else "recording" if recording else "off"
        return {
            "state": state,
            "detail": now.detail,
            "public_key": shelf.public_key if shelf is not None else None,
            "head": asdict(head) if head is not None else None,
            "bundles": await listed(limit, call, alert),
        }

    @routes.get("/alerts/{alert_id}/evidence", dependencies=[read])
    async def list_of_alert(alert_id: str) -> list[dict[str, Any]]:
        """Bundles that were made for one alert; none if its call is not recorded."""
        return await listed(1000, None, alert_id)

    @routes.get("/evidence/{bundle_id}/verification", dependencies=[read])
    async def check(bundle_id: BundleId) -> dict[str, Any]:
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
        checks = [{"state": str(c.state), "detail": c.detail} for c in found]
        worst = [s for s in (State.FAILED, State.UNCHECKED) if any(c.state is s for c in found)]
        return {"state": str(worst[0] if worst else State.OK), "checks": checks}

    @routes.get("/evidence/{bundle_id}", response_class=FileResponse)
    async def download(bundle_id: BundleId, grant: reader) -> FileResponse:
        """One bundle; who took it is noted."""
        kept = shelf.find(bundle_id) if shelf is not None else None
        if shelf is None or kept is None:
            raise _gone()
        path = shelf.path(kept)
        if not await asyncio.to_thread(path.is_file):
            raise _gone()
        await downloaded(kept, grant.name)
        kind = "application/octet-stream" if kept.encrypted else "application/x-tar"
        return FileResponse(
            path, media_type=kind, filename=kept.file, headers={"Cache-Control": "no-store"}
        )

    return routes


def _gone() -> Problem:
    return Problem(404, "No such evidence", "the bundle was never here or has been deleted")


def _record(kept: Kept) -> dict[str, Any]:
    return {**asdict(kept), "href": f"/api/v1/evidence/{kept.id}"}
