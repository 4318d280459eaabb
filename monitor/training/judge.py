"""The development sources, measured while training to choose the checkpoint."""

import numpy as np
import torch

from monitor.training.channel import through_g711
from monitor.training.clips import Split
from monitor.training.library import activity
from monitor.training.metrics import area_under_curve, equal_error_rate
from monitor.training.network import VoiceNetwork
from monitor.training.store import AudioStore, from_pcm
from monitor.training.windows import scoring_windows
from monitor.types import SAMPLE_RATE, Waveform


class DevelopmentSet:
    """The first full window of every development recording, clean and through G.711."""

    def __init__(self, speech: AudioStore, split: Split = Split.DEV) -> None:
        kept = []
        for index, row in enumerate(speech.rows):
            if row["split"] != split:
                continue
            samples = from_pcm(speech.pcm(index))
            window = next(scoring_windows(samples, activity(row)), None)
            if window is not None and len(window.samples) == 3 * SAMPLE_RATE:
                kept.append((row["source"], row["fake"], window.samples))
        self._sources = np.array([source for source, _, _ in kept])
        self._fake = np.array([fake for _, fake, _ in kept])
        clean = np.stack([samples for _, _, samples in kept])
        telephone = np.stack([through_g711(samples) for samples in clean])
        self._variants = {"clean": clean, "g711": telephone}

    def measure(self, network: VoiceNetwork) -> dict[str, float]:
        """Macro within-source EER and AUC per channel; "objective" is 1 - mean AUC."""
        found: dict[str, float] = {}
        for name, waveform in self._variants.items():
            logit = torch_scores(network, waveform)
            errors, areas = [], []
            for source in np.unique(self._sources):
                human = logit[(self._sources == source) & ~self._fake]
                fake = logit[(self._sources == source) & self._fake]
                if len(human) >= 5 and len(fake) >= 5:
                    errors.append(equal_error_rate(human, fake))
                    areas.append(area_under_curve(human, fake))
            found[f"eer_{name}"] = float(np.mean(errors))
            found[f"auc_{name}"] = float(np.mean(areas))
        found["objective"] = 1 - float(np.mean([found["auc_clean"], found["auc_g711"]]))
        return found


def torch_scores(network: VoiceNetwork, waveform: Waveform, size: int = 32) -> Waveform:
    """Logits of windows of equal length (windows, samples)."""
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(waveform[i : i + size])).numpy()
            for i in range(0, len(waveform), size)
        ]
    return np.concatenate(parts)
