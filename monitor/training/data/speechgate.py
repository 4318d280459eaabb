"""Silero VAD → the same network over many chunks in one run: models/speech/model.onnx.

    published   one chunk a run:  input (1, 576), state ─► probability, state
    here        chunks in a run:  chunks (n, 576), state ─► probabilities (n,), state

Only the LSTM needs chunks one after the other; spectrum and convolutions take all of them at once.
They are products of matrices: a chunk has four frames of spectrum, and convolutions over so few
spend their time on being set up. Weights are copied, nothing is trained: what comes out agrees to a
few millionths. The 8 kHz half of the published file is left out.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]
_STRIDES = (1, 2, 2, 1)
"""Of the four convolutions of the encoder."""
_SAMPLES, _UNITS = 576, 128
_HOP, _FRAMES = 128, 4
"""Samples from one frame of spectrum to the next, each two hops long; frames of a chunk."""


class _Graph:
    """Nodes and weights as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, name: str, value: NDArray[np.generic]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], *outputs: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, list(outputs), **attributes))
        return outputs[0]


def batched(published: Path) -> onnx.ModelProto:
    """The network of Silero's file for 16 kHz; raises ValueError if it is not as in version 6."""
    weights = _weights(published)

    def of(suffix: str) -> Array:
        found = [value for name, value in weights.items() if name.endswith(suffix)]
        if len(found) != 1:
            raise ValueError(f"{published.name}: {len(found)} constants are named *{suffix}")
        return found[0]

    graph = _Graph()
    _add_spectrum(graph, of("stft.forward_basis_buffer")[:, 0])
    here, frames = "magnitude", _FRAMES
    for number, stride in enumerate(_STRIDES):
        name = f"encoder.{number}"
        kernel, bias = of(f"{name}.reparam_conv.weight"), of(f"{name}.reparam_conv.bias")
        product = _product(kernel, frames, stride)
        frames = product.shape[1] // len(bias)
        weight = graph.weight(f"{name}.weight", product)
        graph.add("Gemm", [here, weight, graph.weight(f"{name}.bias", np.tile(bias, frames))], name)
        here = graph.add("Relu", [name], f"{name}.relu")
    # One frame is left of each chunk: chunks become the LSTM's time, in a batch of one.
    graph.add("Unsqueeze", [here, graph.weight("batch", np.array([1]))], "steps")
    graph.add("Split", ["state"], "hidden", "cell", axis=0, num_outputs=2)
    into = graph.weight("lstm.input", _gates(of("rnn.weight_ih"))[None])
    back = graph.weight("lstm.recurrent", _gates(of("rnn.weight_hh"))[None])
    biases = np.concatenate([_gates(of("rnn.bias_ih")), _gates(of("rnn.bias_hh"))])[None]
    graph.add(
        "LSTM", ["steps", into, back, graph.weight("lstm.bias", biases), "", "hidden", "cell"],
        "said", "hidden_after", "cell_after", hidden_size=_UNITS,
    )  # fmt: skip
    graph.add("Concat", ["hidden_after", "cell_after"], "state_after", axis=0)
    graph.add("Relu", ["said"], "said.relu")
    graph.add("MatMul", ["said.relu", graph.weight("out.weight", of("decoder.2.weight")[0])], "sum")
    graph.add("Add", ["sum", graph.weight("out.bias", of("decoder.2.bias"))], "logit")
    graph.add("Sigmoid", ["logit"], "probability")
    flat = graph.weight("flat", np.array([-1]))
    graph.add("Reshape", ["probability", flat], "probabilities")
    return _model(graph)


def _add_spectrum(graph: _Graph, basis: Array) -> None:
    """Nodes from `chunks` to `magnitude`, shape (chunks, frames * bins)."""
    reflected = graph.weight("reflected", np.array([0, 0, 0, 64], np.int64))
    graph.add("Pad", ["chunks", reflected], "padded", mode="reflect")
    shape = graph.weight("hops.shape", np.array([-1, _FRAMES + 1, _HOP]))
    graph.add("Reshape", ["padded", shape], "hops")
    axis = graph.weight("axis", np.array([1]))
    for half, start in (("earlier", 0), ("later", 1)):
        bounds = [
            graph.weight(f"{half}.{name}", np.array([at]))
            for name, at in (("start", start), ("end", start + _FRAMES))
        ]
        graph.add("Slice", ["hops", *bounds, axis], half)
    graph.add("Concat", ["earlier", "later"], "frames", axis=2)
    for part, columns in zip(("real", "imaginary"), np.split(basis, 2), strict=True):
        graph.add("MatMul", ["frames", graph.weight(f"{part}.basis", columns.T)], part)
        graph.add("Mul", [part, part], f"{part}.power")
    graph.add("Add", ["real.power", "imaginary.power"], "power")
    graph.add("Sqrt", ["power"], "magnitudes")
    flat = graph.weight("magnitude.shape", np.array([-1, _FRAMES * len(basis) // 2]))
    graph.add("Reshape", ["magnitudes", flat], "magnitude")


def _product(kernel: Array, frames: int, stride: int) -> Array:
    """A convolution over few frames, one frame padded on both sides, as one matrix.

    `kernel` has the shape (out, in, taps), what is returned (frames * in, frames left * out).
    """
    outputs, inputs, taps = kernel.shape
    left = (frames + 2 - taps) // stride + 1
    matrix = np.zeros((frames, inputs, left, outputs), np.float32)
    for after in range(left):
        for tap in range(taps):
            before = after * stride + tap - 1
            if 0 <= before < frames:
                matrix[before, :, after] = kernel[:, :, tap].T
    return matrix.reshape(frames * inputs, left * outputs)


def _model(graph: _Graph) -> onnx.ModelProto:
    def tensor(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    state: list[int | str] = [2, 1, _UNITS]
    made = helper.make_graph(
        graph.nodes,
        "speech",
        [tensor("chunks", ["chunks", _SAMPLES]), tensor("state", state)],
        [tensor("probabilities", ["chunks"]), tensor("state_after", state)],
        graph.weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.checker.check_model(model, full_check=True)
    return model


def _weights(published: Path) -> dict[str, Array]:
    """The constants of the branch for 16 kHz."""
    branch = next(
        (
            attribute.g
            for node in onnx.load(published).graph.node
            if node.op_type == "If"
            for attribute in node.attribute
            if attribute.name == "then_branch"
        ),
        None,
    )
    if branch is None:
        raise ValueError(f"{published.name}: has no branch by sampling rate")
    return {
        node.output[0]: np.asarray(numpy_helper.to_array(node.attribute[0].t))
        for node in branch.node
        if node.op_type == "Constant"
    }


def _gates(torch_order: Array) -> Array:
    """From torch's order of gates (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    given, forget, cell, output = np.split(torch_order, 4)
    return np.concatenate([given, output, forget, cell])
