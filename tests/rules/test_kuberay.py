"""The manifests for KubeRay, as far as schemas tell; they were never deployed."""

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from monitor.cluster import engine

FILE = Path(__file__).resolve().parents[2] / "deploy/kuberay/cluster.yaml"


def documents() -> dict[str, dict[str, Any]]:
    return {found["kind"]: found for found in yaml.safe_load_all(FILE.read_text())}


def groups() -> list[dict[str, Any]]:
    spec = documents()["RayCluster"]["spec"]
    return [spec["headGroupSpec"], *spec["workerGroupSpecs"]]


def pod(group: dict[str, Any]) -> dict[str, Any]:
    """What the operator would make of a group's template."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **group["template"]}


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry for entry in container["env"]}


def test_kubernetes_takes_the_pods_and_the_service() -> None:
    kubernetes_validate.validate(documents()["Service"], "1.31", strict=True)
    for group in groups():
        kubernetes_validate.validate(pod(group), "1.31", strict=True)
        wrong = copy.deepcopy(pod(group))
        wrong["spec"]["containers"][0]["portz"] = []
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, "1.31", strict=True)


def test_nobody_comes_to_ray_without_the_token() -> None:
    for group in groups():
        for container in group["template"]["spec"]["containers"]:
            known = environment(container)
            assert known["RAY_AUTH_MODE"]["value"] == "token"
            assert known["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "monitor-ray"
            assert known["RAY_USAGE_STATS_ENABLED"]["value"] == "0"
            assert known["ORT_DISABLE_TELEMETRY"]["value"] == "1"
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert group["rayStartParams"]["disable-usage-stats"] == "true"
    assert groups()[0]["rayStartParams"]["include-dashboard"] == "false"


def test_it_starts_ray_as_the_command_does() -> None:
    head, workers = groups()
    known = environment(head["template"]["spec"]["containers"][0])
    for name, value in engine.DEFAULTS.items():
        assert known[name]["value"] == value, name
    for group, resource in ((head, engine.HEAD_RESOURCE), (workers, engine.NODE_RESOURCE)):
        # The operator hands it to a shell: quoted twice.
        resources = yaml.safe_load(yaml.safe_load(group["rayStartParams"]["resources"]))
        assert resources == {resource: 1}
        assert group["rayStartParams"]["num-cpus"] == "0"


def test_the_gateway_shares_the_heads_sockets() -> None:
    ray, gateway = groups()[0]["template"]["spec"]["containers"]
    assert gateway["args"][:2] == ["serve", "--cluster"]
    mounts = {mount["mountPath"] for mount in gateway["volumeMounts"]}
    assert {"/tmp/ray", "/dev/shm"} <= mounts
    assert gateway["volumeMounts"] == ray["volumeMounts"]
    selector = documents()["Service"]["spec"]["selector"]
    assert selector == {"ray.io/cluster": "monitor", "ray.io/node-type": "head"}
