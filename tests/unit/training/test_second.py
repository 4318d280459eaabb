"""A second look is fitted within groups, fused on development speech, and written as it is used."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.detectors.second import VoiceSecondLook
from monitor.training.channels.channel import ChannelOdds
from monitor.training.data.clips import Split
from monitor.training.data.prepare import Item, load_library, open_speech
from monitor.training.data.store import AudioStore, to_pcm, write
from monitor.training.measure.judge import DevelopmentSet
from monitor.training.second import features, listener
from monitor.training.second.features import Features, cache_features, load_features
from monitor.training.second.listener import Listener, load_listener, tune
from monitor.training.second.second_look import Head, export_second, fit_head, fit_rule, fused
from monitor.training.second.whisper import make_encoder, parse
from monitor.training.voice.train import BEST
from monitor.types import AudioWindow, Fusion, LookRule, Span
from tests.unit.training.test_whisper import ctranslate2, toy_weights
from tests.unit.training.voices import voice

WIDTH = 20
RULE = LookRule(Fusion(1, 0.5, 0.1), Fusion(1, 0.25, 0.0), 3.0, 3.0)


def _features(groups: int, seed: int) -> Features:
    """Two numbers tell fake from human; the second is moved about by every group's channel."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, (groups, 2, 2, WIDTH))
    values[:, 1, :, :2] += 2
    values[..., 1:] += 10 * rng.normal(0, 1, (groups, 1, 1, WIDTH - 1))
    return Features(values.astype(np.float32))


def test_a_head_learns_what_tells_the_labels_whatever_the_channel() -> None:
    head = fit_head(_features(300, 1), ridge=1e-3)
    fresh = _features(200, 2).values
    logits = head.logits(fresh)
    # One threshold, 0, for all groups: the ideal rule on the first number is right in 84 %.
    assert (logits[:, 1] > 0).mean() > 0.75
    assert (logits[:, 0] < 0).mean() > 0.75
    assert abs(head.weight[0]) > 3 * np.abs(head.weight[1:]).max()


def _items() -> Iterator[Item]:
    rng = np.random.default_rng(0)
    for i in range(24):
        fake = i % 2 == 1
        row = {
            "path": f"{i}",
            "fake": fake,
            "generator": f"machine {i % 4}" if fake else "human",
            "family": "steady" if fake else "human",
            "speaker": f"s{i % 6}",
            "source": "page",
            "split": Split.DEV,
            "active": "1" * 93,
        }
        yield row, to_pcm(voice(rng, 3.0))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("second")
    write(folder, "speech", _items())
    return folder


@pytest.fixture(scope="module")
def development(stored: Path) -> DevelopmentSet:
    return DevelopmentSet(AudioStore(stored, "speech"))


def _scores(development: DevelopmentSet, telling: float, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    fake = np.array([bool(row["fake"]) for row in development.rows])
    return {
        name: (telling * fake + rng.normal(0, 1, len(fake))).astype(np.float32)
        for name in ("clean", "g711", "opus", "mobile")
    }


def test_a_second_look_counts_for_what_it_is_worth(development: DevelopmentSet) -> None:
    first = _scores(development, 1.0, 1)
    better, _ = fit_rule(development, first, _scores(development, 5.0, 2))
    assert better.narrow.second > 0
    misled, found = fit_rule(development, _scores(development, 5.0, 1), _scores(development, -5, 3))
    assert misled.narrow.second == 0
    assert found["0 0"]["objective"] < found["2 2"]["objective"]


def test_scales_of_the_two_looks_do_not_matter(development: DevelopmentSet) -> None:
    first, second = _scores(development, 1.0, 1), _scores(development, 2.0, 2)
    one, _ = fit_rule(development, first, second)
    louder = {name: 100 * it + 7 for name, it in second.items()}
    other, _ = fit_rule(development, first, louder)
    x = 1.5
    assert one.narrow.logit(0, x) == pytest.approx(other.narrow.logit(0, 100 * x + 7), abs=1e-3)


def test_sure_windows_of_a_wide_line_keep_their_first_look() -> None:
    first, second = (np.array(it, np.float32) for it in ([1, 9, 1, 9], [10] * 4))
    both = fused(RULE, first, second, np.array([False, False, True, True]))
    np.testing.assert_allclose(both, [1 + 2.5, 9, 1 + 5.1, 9 + 5.1], rtol=1e-6)


def test_the_file_says_what_the_service_reads(tmp_path: Path) -> None:
    encoder = make_encoder(parse(ctranslate2(toy_weights())))
    rng = np.random.default_rng(0)
    head = Head(rng.normal(0, 0.1, 2048), 0.5)
    said = Features(rng.normal(1, 2, (5, 2, 2, 2048)).astype(np.float32))
    network = Listener(encoder).eval()
    network.begin(head, said)
    path = tmp_path / "second.onnx"
    export_second(network, RULE, "a" * 64, path)
    # The encoder's numbers were half floats to begin with.
    assert path.stat().st_size < 2.3 * sum(p.numel() for p in network.parameters())
    second = VoiceSecondLook(path, "a" * 64)
    assert second.rule == RULE
    samples = voice(rng, 3.0)
    window = AudioWindow("remote", Span(0, 3), Span(0, 3), samples, 3.0, 0.0)
    with torch.no_grad():
        expected = float(network(torch.from_numpy(samples)[None])[0])
    assert second.logit(window) == pytest.approx(expected, abs=5e-3)


def test_tuning_begins_where_the_linear_rule_ends_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make_encoder(parse(ctranslate2(toy_weights())))
    rng = np.random.default_rng(1)
    heard = torch.from_numpy(np.stack([voice(rng, 1.5) for _ in range(8)]))
    with torch.no_grad():
        values = encoder(heard).numpy().reshape(2, 2, 2, -1)
    head = fit_head(Features(values), ridge=1e-2)
    network = Listener(encoder).eval()
    network.begin(head, Features(values))
    with torch.no_grad():
        begun = network(heard).numpy()
    np.testing.assert_allclose(begun, head.logits(values).ravel(), atol=2e-3)

    write(tmp_path, "speech", ((dict(row, split="train"), pcm) for row, pcm in _items()))
    nothing = ChannelOdds(*[0] * len(fields(ChannelOdds)))
    monkeypatch.setattr(
        listener, "BATCH", replace(listener.BATCH, groups=2, seconds=(1, 1), odds=nothing)
    )
    library = load_library(tmp_path, open_speech(tmp_path))
    seen = []

    def judge(network: torch.nn.Module) -> dict[str, float]:
        with torch.no_grad():
            seen.append(network(heard).numpy())
        return {"objective": -float(len(seen))}

    # So short a time is over after one step; the second run finds the schedule at its end.
    for _ in range(2):
        tune(network, library, tmp_path / "tuned", minutes=1e-6, threads=1, judge=judge)
    assert not np.allclose(seen[0], begun, atol=1e-3)
    np.testing.assert_array_equal(seen[0], seen[1])
    with torch.no_grad():
        kept = load_listener(tmp_path / "tuned" / BEST)(heard).numpy()
    np.testing.assert_array_equal(kept, seen[1])


def test_features_are_kept_and_only_missing_shards_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "speech", ((dict(row, split="train"), pcm) for row, pcm in _items()))
    weights = parse(ctranslate2(toy_weights()))
    monkeypatch.setattr(features, "read_wheels", lambda _: weights)
    nothing = ChannelOdds(*[0] * len(fields(ChannelOdds)))
    monkeypatch.setattr(features, "PLAN", replace(features.PLAN, groups=1, odds=nothing))
    folder = tmp_path / "shards"
    cache_features(tmp_path, tmp_path, folder, 2, processes=1)
    first, second = sorted(folder.iterdir())
    before, kept = second.read_bytes(), first.stat().st_mtime_ns
    second.unlink()
    cache_features(tmp_path, tmp_path, folder, 2, processes=1)
    assert second.read_bytes() == before
    assert first.stat().st_mtime_ns == kept
    assert load_features(folder, 2).values.shape == (2, 2, 2, 2048)


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no shard-00000"):
        load_features(tmp_path, 1)
