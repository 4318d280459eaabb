"""What one would write today without this package, for comparison: one film, one call at a time.

PyAV decodes every picture at full size; every picture is searched for faces by MTCNN; every second
a waveform of four seconds goes through a raw-waveform network of the size of AASIST (Jung et al.
2022), in torch with its own threads. The network has the shape of the published encoder (a bank of
70 band-pass filters, six residual blocks of 32 and 64 channels) and random weights: its cost is
about that of the real one, its scores mean nothing. MTCNN runs as it does in the service, which is
to the peer's advantage. Standard output: a JSON object.
"""

import json
import sys
import time
from pathlib import Path

import av
import numpy as np
import torch
from torch import nn

from monitor.analysis.cascade import Cascade
from monitor.ingest.codecs.convert import AudioConverter

WINDOW, HOP = 4, 1
"""Seconds."""


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, (2, 3), padding=(1, 1))
        self.second = nn.Conv2d(after, after, (2, 3), padding=(0, 1))
        self.norm, self.relu = nn.BatchNorm2d(after), nn.SELU()
        self.skip = nn.Conv2d(before, after, (1, 3), padding=(0, 1))
        self.pool = nn.MaxPool2d((1, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.second(self.relu(self.norm(self.first(x))))
        pooled: torch.Tensor = self.pool(made + self.skip(x))
        return pooled


class Net(nn.Module):
    """Waveforms (batch, samples) at 16 kHz in, one logit each out."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 70, 129)
        self.pool = nn.MaxPool2d(3)
        sizes = [1, 32, 32, 64, 64, 64, 64]
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in zip(sizes, sizes[1:], strict=False)))
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.head = nn.Linear(64, 1)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Judge."""
        x = self.pool(self.filters(waveforms[:, None]).abs()[:, None])
        x = self.blocks(x).flatten(2).transpose(1, 2)
        x, _ = self.attention(x, x, x)
        logit: torch.Tensor = self.head(x.mean(1))[:, 0]
        return logit


def measure(film: Path, seconds: float) -> dict[str, float]:
    """Play the film as fast as it can be judged; return what that took."""
    net, cascade, converter = Net().eval(), Cascade(), AudioConverter()
    heard = np.zeros(0, np.float32)
    due, windows, pictures, end = float(WINDOW), 0, 0, 0.0
    # Seconds that the sound takes; the whole of `wall` is for both.
    voice = 0.0
    began, spent = time.monotonic(), time.process_time()
    with av.open(str(film)) as container, torch.inference_mode():
        for frame in container.decode(container.streams.video[0], container.streams.audio[0]):
            if isinstance(frame, av.VideoFrame):
                cascade.detect(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
                pictures, end = pictures + 1, frame.time or 0.0
                if end >= seconds:
                    break
            elif isinstance(frame, av.AudioFrame):
                start = time.monotonic()
                heard = np.concatenate([heard, converter.convert(frame)])
                while len(heard) >= due * 16_000:
                    window = heard[int((due - WINDOW) * 16_000) : int(due * 16_000)]
                    net(torch.from_numpy(window[None]))
                    due, windows = due + HOP, windows + 1
                voice += time.monotonic() - start
    wall = time.monotonic() - began
    return {
        "call_seconds": end,
        "wall_seconds": wall,
        "cpu_ms_per_call_second": 1000 * (time.process_time() - spent) / end,
        "calls_at_once": end / wall,
        "voice_calls_at_once": end / voice,
        "pictures": pictures,
        "windows": windows,
        "parameters": sum(p.numel() for p in net.parameters()),
        "torch_threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), float(sys.argv[2]))))
