"""ONNX Runtime sessions configured for many streams that share a few cores."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# ONNX Runtime reports its use to its maker unless this is set before it is loaded; nothing
# leaves the perimeter.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

Tensor = NDArray[Any]
CPU = "CPUExecutionProvider"


def available() -> list[str]:
    """Execution providers that this build of ONNX Runtime has."""
    return list(ort.get_available_providers())


class Session:
    """One loaded model; safe to call from several threads, keeps nothing between calls.

    Single-threaded with spinning off: concurrency comes from several callers, so sessions
    never compete for cores or burn them while waiting.
    """

    def __init__(self, model: Path | bytes, providers: Sequence[str] = (CPU,)) -> None:
        """`providers` as `device.providers` gives them; only detectors compute elsewhere."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        options.log_severity_level = 3
        # An arena keeps what its session's largest run needed, for as long as the session lives.
        options.enable_cpu_mem_arena = False
        source = model if isinstance(model, bytes) else str(model)
        self._session = ort.InferenceSession(source, options, providers=list(providers))
        self.inputs = tuple(i.name for i in self._session.get_inputs())
        self.outputs = tuple(o.name for o in self._session.get_outputs())
        self.metadata: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map
        """What the file says about itself."""

    def run(self, feeds: Mapping[str, Tensor]) -> Sequence[Tensor]:
        """Run the model; returns every output in the order of `outputs`."""
        return [np.asarray(value) for value in self._session.run(None, dict(feeds))]
