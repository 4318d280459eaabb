"""What is shipped for containers and clusters is well formed; none of it was run here."""

import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import compose_spec
import kubernetes_validate
import pytest
import yaml
from helm_python import Chart, HelmError
from helm_python.chart import lint

from monitor.settings import load

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm/deepfake-monitor"
TOKEN = {"tokenSecret": "monitor-token"}
EVERYTHING = {
    **TOKEN,
    "settingsSecret": "monitor-settings",
    "imagePullSecrets": [{"name": "registry"}],
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "monitor-tls"},
    "media": {"iceServers": ["turn:turn.example:3478"]},
    "persistence": {"storageClass": "fast"},
    "serviceMonitor": {"enabled": True, "tokenSecret": "scrape", "labels": {"release": "stack"}},
    "nodeSelector": {"pool": "media"},
    "tolerations": [{"key": "media", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
}


def rendered(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Resources by kind."""
    with Chart.load(CHART) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name="calls", namespace="fraud").values()
    found = [document for text in texts for document in yaml.safe_load_all(text) if document]
    assert len({document["kind"] for document in found}) == len(found)
    return {document["kind"]: document for document in found}


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions with what follows each."""
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.M))
    words = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in words]


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("hadolint"), "--no-color", "-"],
        input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_dockerfile_has_no_finding() -> None:
    text = (ROOT / "Dockerfile").read_text()
    result = hadolint(text)
    assert (result.returncode, result.stdout) == (0, "")
    assert hadolint(text.replace("python:3.11-slim-bookworm", "python:latest")).returncode == 1


def test_the_image_is_confined_and_its_models_are_verified() -> None:
    steps = instructions((ROOT / "Dockerfile").read_text())
    last = [name for name, _ in steps].index("FROM", 1)
    final = steps[last:]
    user = final.index(("USER", "10001:10001"))
    assert user < final.index(("RUN", "deepfake-monitor models verify"))
    assert final[-2] == ("ENTRYPOINT", '["deepfake-monitor"]')
    assert json.loads(final[-1][1])[0] == "serve"
    copied = {word for name, rest in steps[:last] if name == "COPY" for word in rest.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    for name in copied:
        assert (ROOT / name).exists()


@cache
def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yml").read_text())


def test_compose_is_what_its_specification_allows() -> None:
    parsed = compose_spec.PyCompose.from_json(json.dumps(compose()))
    names = {"monitor", "prometheus", "alertmanager", "grafana", "camera"}
    assert set(parsed.service_names()) == names
    wrong = json.loads(json.dumps(compose()))
    wrong["services"]["monitor"]["portz"] = []
    with pytest.raises(ValueError, match="portz"):
        compose_spec.PyCompose.from_json(json.dumps(wrong))


def test_compose_services_are_confined_and_on_loopback() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "privileged" not in service
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        if "image" in service:
            assert re.search(r":\w*\d+\.\d+\.\d+", service["image"]), f"{name} has no version"


def test_compose_mounts_only_what_exists() -> None:
    for service in compose()["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in compose()["volumes"], source
    shipped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    for name in ("monitor", "alertmanager"):
        inside = yaml.safe_load((DEPLOY / "compose/prometheus.yml").read_text())
        assert f"{name}:" in json.dumps(inside)
        assert inside["rule_files"] == shipped["rule_files"]
        assert [j["job_name"] for j in inside["scrape_configs"]] == ["deepfake-monitor"]


def test_the_settings_of_compose_parse_and_let_nobody_in() -> None:
    settings = load(DEPLOY / "compose/monitor.toml")
    assert settings.has_token
    assert {token.sha256 for token in settings.server.tokens} == {"0" * 64}
    assert {scope for token in settings.server.tokens for scope in token.scopes} == {
        "publish", "read", "review", "control", "metrics",
    }  # fmt: skip


def test_grafana_finds_its_dashboards_where_compose_puts_them() -> None:
    provisioning = DEPLOY / "grafana/provisioning"
    providers = yaml.safe_load((provisioning / "dashboards/dashboards.yml").read_text())
    (provider,) = providers["providers"]
    volumes = compose()["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in volumes
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["type"] == "prometheus"
    assert source["url"] == "http://prometheus:9090"
    scrape = yaml.safe_load((DEPLOY / "compose/prometheus.yml").read_text())["scrape_configs"][0]
    assert source["jsonData"]["timeInterval"] == scrape["scrape_interval"]
    # Grafana reads $$ as $; the label is the one that exemplars carry.
    (link,) = source["jsonData"]["exemplarTraceIdDestinations"]
    assert link["name"] == "call"
    assert link["url"].endswith("/#/calls/$${__value.raw}")


@pytest.mark.parametrize("values", [TOKEN, EVERYTHING], ids=["least", "everything"])
def test_the_chart_renders_what_kubernetes_takes(values: dict[str, Any]) -> None:
    report = lint(CHART, values, strict=True)
    assert report["errors"] == []
    resources = rendered(values)
    assert {"StatefulSet", "Service", "PodDisruptionBudget"} <= set(resources)
    assert ("Ingress" in resources) is ("ServiceMonitor" in resources) is (values is EVERYTHING)
    for kind, resource in resources.items():
        if kind != "ServiceMonitor":  # a custom resource: its schema is the operator's
            kubernetes_validate.validate(resource, "1.31", strict=True)
        assert resource["metadata"]["name"] == "calls"
    wrong = json.loads(json.dumps(resources["StatefulSet"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["portz"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.31", strict=True)


def test_the_chart_is_confined() -> None:
    pod = rendered(EVERYTHING)["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["sysctls"] == [
        {"name": "net.ipv4.ip_local_port_range", "value": "40000 49999"}
    ]
    environment = {entry["name"]: entry for entry in container["env"]}
    assert environment["MONITOR_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "monitor-token"
    assert json.loads(environment["MONITOR_WEBRTC__ICE_SERVERS"]["value"]) == [
        "turn:turn.example:3478"
    ]


def test_the_service_takes_what_the_chart_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    container = rendered(EVERYTHING)["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    for entry in container["env"]:
        monkeypatch.setenv(entry["name"], entry.get("value", "placeholder"))
    settings = load(None)
    assert settings.webrtc.ice_servers == ("turn:turn.example:3478",)
    assert str(settings.state_dir) == "/var/lib/deepfake-monitor"
    assert settings.has_token


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "set tokenSecret or settingsSecret"),
        ({**TOKEN, "ingress": {"enabled": True}}, "set ingress.tlsSecret"),
        ({**TOKEN, "serviceMonitor": {"enabled": True}}, "set serviceMonitor.tokenSecret"),
        ({**TOKEN, "media": {"hostNetwork": True}}, "media.udpPorts cannot be set"),
        ({**TOKEN, "media": {"udpPorts": "many"}}, "udpPorts"),
        ({**TOKEN, "tokensecret": "typo"}, "tokensecret"),
    ],
)
def test_the_chart_refuses_what_would_not_work(values: dict[str, Any], says: str) -> None:
    with pytest.raises(HelmError, match=says):
        rendered(values)


def test_the_chart_can_share_the_nodes_network() -> None:
    values = {**TOKEN, "media": {"hostNetwork": True, "udpPorts": ""}}
    pod = rendered(values)["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["hostNetwork"] is True
    assert "sysctls" not in pod["securityContext"]


def test_onnx_runtime_is_told_to_report_to_nobody() -> None:
    final = dict(reversed(instructions((ROOT / "Dockerfile").read_text())))
    assert "ORT_DISABLE_TELEMETRY=1" in final["ENV"].split()
    unit = (DEPLOY / "systemd/deepfake-monitor.service").read_text()
    assert "\nEnvironment=ORT_DISABLE_TELEMETRY=1\n" in unit
    container = rendered(TOKEN)["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "ORT_DISABLE_TELEMETRY", "value": "1"} in container["env"]


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == version
    assert compose()["services"]["monitor"]["image"] == f"deepfake-monitor:{version}"


def test_no_secret_is_shipped() -> None:
    assert "deploy/compose/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    shipped = [p for p in DEPLOY.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    shipped = [p for p in shipped if "secrets" not in p.parts]
    assert len(shipped) > 20
    private = re.compile(r"BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}|glsa_\w{20}")
    for path in shipped:
        assert not private.search(path.read_text()), path
