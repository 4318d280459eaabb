"""Errors as RFC 9457 problem documents that name the field at fault."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from monitor.calls.admission import CapacityError
from monitor.ingest.webrtc.whip_offer import OfferError
from monitor.schema.messages import StoreError


class Problem(Exception):
    """An error the client should read."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = headers
        self.members = members
        """Extension members such as `field` or `reason`."""

    def response(self) -> JSONResponse:
        """The document."""
        return JSONResponse(
            {
                "type": "about:blank",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                **self.members,
            },
            status_code=self.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


async def _problem(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, OfferError):
        return Problem(error.status, error.title, error.detail, field="sdp").response()
    if isinstance(error, CapacityError):
        wait = {"Retry-After": str(error.retry_after)}
        return Problem(503, "No free call slot", str(error), wait).response()
    if isinstance(error, StoreError):
        detail = f"the store does not answer: {error.reason}"
        return Problem(503, "Store degraded", detail, {"Retry-After": "5"}).response()
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        return Problem(422, "Invalid request", f"{field}: {first['msg']}", field=field).response()
    if isinstance(error, HTTPException):
        headers = dict(error.headers) if error.headers else None
        return Problem(error.status_code, str(error.detail), str(error.detail), headers).response()
    raise error


def install(app: FastAPI) -> None:
    """Answer these errors with problem documents."""
    for kind in (
        Problem,
        OfferError,
        CapacityError,
        StoreError,
        RequestValidationError,
        HTTPException,
    ):
        app.add_exception_handler(kind, _problem)
