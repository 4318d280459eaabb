"""Where detectors compute: the choice of ONNX Runtime's execution provider."""

from collections.abc import Sequence
from typing import Literal

import monitor.inference.onnx as onnx

Device = Literal["auto", "cpu", "cuda"]
CUDA = "CUDAExecutionProvider"


class DeviceError(Exception):
    """What was asked for is not there; the message names the setting."""


def providers(device: Device, available: Sequence[str] | None = None) -> tuple[str, ...]:
    """Execution providers in the order in which they are tried.

    `available` are those that ONNX Runtime has; None asks it. `auto` takes CUDA where it is
    offered. Raises DeviceError for `cuda` without it.
    """
    offered = onnx.available() if available is None else available
    if device == "cuda" and CUDA not in offered:
        raise DeviceError(
            "inference.device: cuda, but ONNX Runtime offers only "
            f"{', '.join(offered)}; install onnxruntime-gpu in place of onnxruntime, or say auto"
        )
    if device == "cpu" or CUDA not in offered:
        return (onnx.CPU,)
    # What CUDA cannot compute falls back to the processor.
    return (CUDA, onnx.CPU)
