"""What the API says about itself at /openapi.json."""

from collections.abc import Callable, Mapping
from typing import Any, NotRequired, get_type_hints

from fastapi import FastAPI, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from monitor.schema.records import CloudEventRecord, described

_WHY = {
    400: "what was sent cannot be read",
    401: "no token, or an unknown one",
    403: "the token lacks the scope, or settings forbid it",
    404: "there is no such thing, or no longer",
    409: "not in the state that this needs",
    412: "`If-Match` is not the session's `ETag`",
    408: "the body did not come in time",
    413: "too large",
    415: "another `Content-Type` is needed",
    422: "a field is invalid",
    428: "`If-Match` is missing",
    429: "one token has too much of it open at once; `Retry-After` says when to ask",
    502: "the far end gave no media",
    503: "every call slot is in use, or the store does not answer; `Retry-After` says when to ask",
    507: "the disk is full, and nothing was kept",
}
_SCHEMAS = "#/components/schemas/{model}"
_ABOUT = """Errors are problem documents (RFC 9457) that name the field at fault.

Everything but health needs `Authorization: Bearer TOKEN`, with a token that has the scope which the
operation names. Times of a call are seconds since it began; times of day are RFC 3339 in UTC.
"""


@described
class ProblemRecord(TypedDict):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    """What is wrong, beginning with the name of the field, header or setting at fault."""
    field: NotRequired[str]
    """That name alone, where the request holds the fault."""
    reason: NotRequired[str]
    """Why a call that was asked for ended, in one word."""
    call: NotRequired[str]
    """Its id."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What an operation may answer in place of its own status, for its `responses`."""
    schema = {"$ref": _SCHEMAS.format(model=ProblemRecord.__name__)}
    content = {"application/problem+json": {"schema": schema}}
    return {status: {"description": _WHY[status], "content": content} for status in statuses}


class DescribedRoute(APIRoute):
    """Describes what its handler returns by the annotation, and sends it as it is.

    FastAPI would hold each answer against the annotation: a record that an earlier version of the
    service has kept would be refused to whoever asks for it. Tests do that instead.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        returned = get_type_hints(endpoint, include_extras=True)["return"]
        if isinstance(returned, type) and issubclass(returned, Response):
            options["response_class"] = returned
        else:
            answer = {options.get("status_code") or 200: {"model": returned}}
            options["responses"] = answer | (options.get("responses") or {})
            options["response_model"] = Any
        super().__init__(path, endpoint, **options)


class DescribedApp(FastAPI):
    """Adds what FastAPI does not see: problem documents, events, webhooks."""

    def __init__(self, events: Mapping[str, Any], **options: Any) -> None:
        """`events` are the types of the event stream's data by event."""
        super().__init__(description=_ABOUT, **options)
        self._event_types = events
        self.webhooks.post("alert", responses={"2XX": {"description": "Taken"}})(_alert)

    def openapi(self) -> dict[str, Any]:
        """Return the description, made once."""
        if self.openapi_schema is None:
            self._complete(super().openapi())
        assert self.openapi_schema is not None
        return self.openapi_schema

    def _complete(self, schema: dict[str, Any]) -> None:
        components = schema["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        types = [ProblemRecord, *self._event_types.values()]
        refs, found = TypeAdapter.json_schemas(
            [(n, "serialization", TypeAdapter(t)) for n, t in enumerate(types)],
            ref_template=_SCHEMAS,
        )
        components |= found["$defs"]
        events = {name: refs[n, "serialization"] for n, name in enumerate(self._event_types, 1)}
        schema["webhooks"]["alert"]["post"]["responses"].pop("422")
        for path in schema["paths"].values():
            for operation in path.values():
                answers = operation["responses"]
                wanted = [401, 403] if "security" in operation else []
                wanted += [422] if answers.pop("422", None) else []
                answers |= {str(s): told for s, told in refusals(*wanted).items()}
                for answer in answers.values():
                    if "text/event-stream" in answer.get("content", {}):
                        answer["content"]["text/event-stream"]["x-events"] = events


async def _alert(body: CloudEventRecord) -> None:
    """Post an alert message to each `[[webhooks]]` of the settings.

    Signed as Standard Webhooks (https://www.standardwebhooks.com) says; repeated with the same id
    until any 2xx is answered.
    """
