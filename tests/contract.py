"""What the API says about itself, held against what it answers."""

import copy
import re
from typing import Any

import httpx
from jsonschema import Draft202012Validator


class Contract:
    """One service's OpenAPI document; a field that it does not name is a fault, too."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._components = copy.deepcopy(description["components"])
        for schema in self._components["schemas"].values():
            if "properties" in schema:
                schema["additionalProperties"] = False
        self._paths: dict[str, Any] = description["paths"]
        self.kept: dict[str, list[Any]] = {}
        """What was answered and is as described, by operation: `GET /healthz`."""

    def holds(self, response: httpx.Response) -> Any:
        """Return a JSON answer's content; fails if it is not what its operation describes."""
        method, path = response.request.method, response.request.url.path
        template = self._template(path)
        operation = self._paths[template][method.lower()]
        answer = operation["responses"].get(str(response.status_code))
        assert answer, f"{method} {template}: {response.status_code} is not described"
        kind = response.headers["content-type"].partition(";")[0]
        assert kind in answer["content"], f"{method} {template}: {kind} is not described"
        content = response.json()
        self.fits(content, answer["content"][kind]["schema"], f"{method} {template}")
        self.kept.setdefault(f"{method} {template}", []).append(content)
        return content

    def fits(self, content: Any, schema: dict[str, Any], where: str) -> None:
        """Hold any content against a schema of the document."""
        whole = {**schema, "components": self._components}
        faults = [
            f"{where}: {fault.json_path}: {fault.message}"
            for fault in Draft202012Validator(whole).iter_errors(content)
        ]
        assert not faults, "; ".join(faults)

    def _template(self, path: str) -> str:
        fitting = [
            template
            for template in self._paths
            if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
        ]
        # /reviews/export is no review's id.
        return min(fitting, key=lambda t: t.count("{"))
