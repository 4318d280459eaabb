"""The API's own description as a page."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monitor.runtime import log
from monitor.service.app import Service
from monitor.settings import load

_PROBLEM = "application/problem+json"
_TOPICS = {
    "whip": "Publish with WHIP",
    "calls": "Calls",
    "sources": "Streams and recordings that the service fetches",
    "events": "Live events",
    "alerts": "Alerts",
    "reviews": "Reviews, holds, audit",
    "evidence": "Evidence",
    "deliveries": "Deliveries and allowances",
    "operations": "Operations",
}
_HEAD = """# HTTP API

Written by `python -m docs.build` from what the service says at `/openapi.json`; change the code and
write it again. Telephone platforms connect by WebSocket instead: [telephony.md](telephony.md).

{about}
Fields marked *optional* are left out rather than null. Ignore fields that you do not know: more may
come.

| refused with | because |
|---|---|
{refusals}
"""


def description() -> dict[str, Any]:
    """The OpenAPI document of a service with default settings; it need not run."""
    log.configure("error")
    with tempfile.TemporaryDirectory() as folder:
        token = {"name": "nobody", "sha256": "0" * 64, "scopes": ["read"]}
        service = Service(load(None, state_dir=Path(folder), server={"tokens": [token]}))
        return service.app.openapi()


def text() -> str:
    """The page."""
    api = description()
    lines = [_HEAD.format(about=api["info"]["description"], refusals="\n".join(_refusals(api)))]
    for tag, title in _TOPICS.items():
        lines += [f"## {title}", ""]
        for path, operations in api["paths"].items():
            for method, operation in operations.items():
                if operation["tags"] == [tag]:
                    lines += _operation(f"{method.upper()} {path}", operation)
    lines += ["## Webhooks", ""]
    for name, operations in api["webhooks"].items():
        lines += _operation(f"POST, webhook `{name}`", operations["post"])
    lines += ["## Records", ""]
    for name, schema in sorted(api["components"]["schemas"].items()):
        lines += _record(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _refusals(api: Mapping[str, Any]) -> list[str]:
    """Every status that some operation refuses with, once."""
    told = {
        status: answer["description"]
        for operations in api["paths"].values()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if _PROBLEM in answer.get("content", {})
    }
    return [f"| {status} | {why} |" for status, why in sorted(told.items())]


def _operation(heading: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {heading}", "", operation["description"], "")
    # Names in the path speak for themselves.
    fields = [
        f"| `{p['name']}` | {_type(p['schema'], null=False)} | {_rules(p['schema'])} |"
        for p in operation.get("parameters", ())
        if p["in"] != "path" or _rules(p["schema"])
    ]
    if fields:
        yield from ("| parameter | type | |", "|---|---|---|", *fields, "")
    for needed in operation.get("security", ()):
        yield f"* scope `{'`, `'.join(needed['token'])}`"
    if "requestBody" in operation:
        yield f"* body {_content(operation['requestBody']['content'])}"
    refused = []
    for status, answer in sorted(operation["responses"].items()):
        content = answer.get("content", {})
        if _PROBLEM in content:
            refused.append(status)
            continue
        yield f"* {status}: {_content(content) if content else 'no body'}"
        for event, schema in content.get("text/event-stream", {}).get("x-events", {}).items():
            yield f"  * `event: {event}`, data {_type(schema)}"
    if refused:
        yield f"* refused with {', '.join(refused)}"
    yield ""


def _content(content: Mapping[str, Any]) -> str:
    """Media types; of JSON what it holds."""
    return " or ".join(
        _type(body["schema"]) if kind == "application/json" else f"`{kind}`"
        for kind, body in content.items()
    )


def _record(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "")
    if "description" in schema:
        yield from (schema["description"], "")
    if "enum" in schema:
        yield from (f"One of {', '.join(f'`{value}`' for value in schema['enum'])}.", "")
    required = schema.get("required", [])
    fields = [
        f"| `{field}` | {_type(about)} | {_about(about, field in required)} |"
        for field, about in schema.get("properties", {}).items()
    ]
    if fields:
        yield from ("| field | type | meaning |", "|---|---|---|", *fields, "")


def _about(schema: Mapping[str, Any], required: bool) -> str:
    told = " ".join(schema.get("description", "").split())
    rules = _rules(schema)
    words = [f"{rules}." if rules else "" if required else "*optional.*", told.replace("|", "\\|")]
    return " ".join(word for word in words if word)


def _rules(schema: Mapping[str, Any]) -> str:
    """Default and limits."""
    limits = {
        "minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<",
        "minLength": "length ≥", "maxLength": "length ≤",
    }  # fmt: skip
    found = {**schema, **next((s for s in schema.get("anyOf", ()) if s != {"type": "null"}), {})}
    words = [f"{sign} {found[key]:g}" for key, sign in limits.items() if key in found]
    words += [f"`{found['pattern']}`"] if "pattern" in found else []
    if "default" in found:
        words.append("default `{}`".format("" if found["default"] == "" else found["default"]))
    return ", ".join(words).replace("default ``", "default empty").replace("|", "\\|")


def _type(schema: Mapping[str, Any], null: bool = True) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        parts = [p for p in schema["anyOf"] if null or p != {"type": "null"}]
        return " or ".join(_type(part) for part in parts)
    if "const" in schema:
        return f'`"{schema["const"]}"`'
    if "enum" in schema:
        return " or ".join(f'`"{value}"`' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object, values {_type(schema['additionalProperties'])}"
    return str(schema.get("type", "anything"))
