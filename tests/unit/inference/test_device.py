"""Where detectors compute. No GPU was there: only the choice is tested."""

import pytest

from monitor.inference.device import CUDA, DeviceError, providers
from monitor.inference.onnx import CPU
from monitor.metrics.sink import Metrics
from monitor.service.judges import build_stages
from monitor.settings import Settings, SettingsError
from monitor.settings.server import Inference


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    assert providers("auto", ["TensorrtExecutionProvider", CUDA, CPU]) == (CUDA, CPU)
    assert providers("auto", ["AzureExecutionProvider", CPU]) == (CPU,)


def test_cpu_leaves_a_gpu_alone() -> None:
    assert providers("cpu", [CUDA, CPU]) == (CPU,)


def test_cuda_is_taken_or_refused_by_the_settings_name() -> None:
    assert providers("cuda", [CUDA, CPU]) == (CUDA, CPU)
    with pytest.raises(DeviceError, match=r"^inference\.device: cuda, but .* onnxruntime-gpu"):
        providers("cuda", [CPU])


def test_the_service_does_not_start_without_the_gpu_it_was_told_to_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("monitor.inference.onnx.available", lambda: [CPU])
    settings = Settings(inference=Inference(device="cuda"))
    with pytest.raises(SettingsError, match=r"inference\.device"):
        build_stages(settings, Metrics())
