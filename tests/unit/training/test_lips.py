"""Training of lips and voice, on a made-up speaker whose mouth opens as the voice gets louder."""

from pathlib import Path

import numpy as np
import pytest
import torch

from monitor.detectors.lipsync import LipSync, separation
from monitor.detectors.mouth import burst, followable
from monitor.inference.catalogue import Model
from monitor.training.face.lips.lips_data import LipClip, Ready
from monitor.training.face.lips.lips_evaluate import area, by_network, interval, measured, scale
from monitor.training.face.lips.lips_export import export, largest_difference
from monitor.training.face.lips.lips_linear import SyncLinear, fit_linear
from monitor.training.face.lips.lips_network import WIDTH, SyncLite, agreement, contrast
from monitor.training.face.lips.lips_train import Plan, example, fit, folds, usable
from monitor.types import MOUTH_SHAPE, SAMPLE_RATE, Span


def _clip(
    seed: int,
    seconds: float = 8.0,
    begin: float = 0.0,
    group: str = "",
    split: str = "train",
    fake: bool = False,
) -> LipClip:
    rng = np.random.default_rng(seed)
    opened = np.repeat(rng.random(round(seconds * 5) + 1), 200)[: round(seconds * 1000)]
    opened = np.convolve(opened, np.hanning(120) / 60, "same")
    samples = np.repeat(opened, 16) * rng.normal(0, 0.1, round(seconds * SAMPLE_RATE))
    times = np.arange(0, seconds - 0.05, 1 / 25)
    seen = opened[(times * 1000).astype(int)]
    points = np.zeros((len(times), 104, 2), np.float32)
    points[:, 0:16, 0], points[:, 16:32, 0] = -30, 30
    points[:, [42, 54], 0], points[:, [48, 60], 0] = -25, 25
    for pair in ((57, 63), (56, 64), (58, 62), (45, 51), (75, 99)):
        points[:, pair[0], 1] = 20 * seen
    mouths = rng.normal(120, 20, (1, *MOUTH_SHAPE)) - 60 * seen[:, None, None]
    pcm = (32_767 * np.clip(samples, -1, 1)).astype(np.int16)
    return LipClip(
        name=f"clip{seed}",
        group=group or f"person{seed}",
        source="made up",
        split=split,
        fake=fake,
        family="human",
        times=times,
        points=points,
        pose=np.zeros((len(times), 3), np.float32),
        mouths=np.clip(mouths, 0, 255).astype(np.uint8),
        pcm=pcm[round(begin * SAMPLE_RATE) :],
        begin=begin,
    )


@pytest.fixture(scope="module")
def ready() -> list[Ready]:
    return [Ready(_clip(seed), seed) for seed in range(4)]


def test_a_clip_is_what_was_saved(tmp_path: Path) -> None:
    clip = _clip(1, begin=0.5)
    clip.save(tmp_path / "clip.npz")
    found = LipClip.load(tmp_path / "clip.npz")
    assert (found.name, found.group, found.fake, found.begin) == ("clip1", "person1", False, 0.5)
    np.testing.assert_array_equal(found.pcm, clip.pcm)
    np.testing.assert_array_equal(found.mouths, clip.mouths)


def test_a_window_shows_pictures_and_sound_of_its_span() -> None:
    window = _clip(1, begin=0.5).window(Span(0, 4), fps=10)
    assert len(window.times) == pytest.approx(40, abs=1)
    assert window.sound.shape == (400, 24)
    assert np.isnan(window.sound[:50]).all()
    assert not np.isnan(window.sound[50:]).any()


def test_examples_have_one_shape_whatever_is_drawn(ready: list[Ready]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        mouths, shape, sound = example(ready[0], rng, Plan())
        assert (mouths.shape, shape.shape, sound.shape) == ((64, 16, 24), (64, 7), (256, 24))
        assert all(torch.isfinite(part).all() for part in (mouths, shape, sound))


def test_agreement_peaks_at_the_delay_of_the_voice() -> None:
    lips = torch.nn.functional.normalize(torch.randn(3, 40, WIDTH), dim=2)
    found = agreement(lips, torch.roll(lips, 7, dims=1))
    own = found[torch.arange(3), torch.arange(3)]
    assert own.argmax(1).tolist() == [7, 7, 7]
    assert own.max(1).values == pytest.approx([1, 1, 1], abs=1e-5)


def test_the_loss_is_small_only_for_lips_that_belong_to_their_voice() -> None:
    torch.manual_seed(0)
    lips = torch.nn.functional.normalize(torch.randn(4, 40, WIDTH), dim=2)
    warmth = torch.tensor(3.0)
    together = contrast(lips, lips, warmth, 2, 6)
    late = contrast(lips, torch.roll(lips, 15, dims=1), warmth, 2, 6)
    exchanged = contrast(lips, lips.roll(1, dims=0), warmth, 2, 6)
    assert together < 0.1
    assert late > 5
    assert exchanged > 5


def test_two_linear_views_find_what_a_stranger_says(ready: list[Ready]) -> None:
    network = fit_linear(ready)
    stranger = _clip(9).window(Span(0, 8), fps=15)
    lips = [burst(stranger, rows) for rows in followable(stranger.times)]
    found = separation(by_network(network)(lips, stranger.sound))
    assert found is not None
    assert found.height > 3.5
    assert abs(found.lag) < 0.1


def test_a_few_steps_of_training_lower_the_loss(ready: list[Ready]) -> None:
    plan = Plan(steps=25, batch=4, patches=False)
    rng = np.random.default_rng(5)
    batch = [example(r, rng, plan) for r in ready]
    mouths, shape, sound = (torch.stack(part) for part in zip(*batch, strict=True))
    losses = []
    for steps in (1, 40):
        network = fit(ready, Plan(steps=steps, batch=4, patches=False))
        with torch.no_grad():
            lips, voice = network(mouths, shape, sound)
            losses.append(contrast(lips, voice, torch.tensor(2.5), 2, 6).item())
    assert losses[1] < losses[0]


def test_people_of_one_corpus_share_a_fold_and_fakes_are_never_trained_on() -> None:
    clips = [_clip(seed) for seed in range(6)]
    grid = [_clip(7, group="grid_a"), _clip(8, group="grid_b")]
    where = folds([*clips, *grid])
    assert where["grid_a"] == where["grid_b"]
    assert len(set(where.values())) == 5
    fake, late = _clip(1, fake=True), _clip(2, split="late")
    assert [c.name for c in usable([*clips, fake, late])] == [c.name for c in clips]


def test_own_sound_is_told_from_exchanged_and_shifted_sound(ready: list[Ready]) -> None:
    network = fit_linear(ready)
    clips = [_clip(seed) for seed in range(10, 14)]
    rows = list(measured(clips, [LipSync().curve, by_network(network)], (4.0, 15.0)))
    assert len(rows) == 8
    assert area(rows, 1, "exchanged") > 0.8
    assert area(rows, 1, "shifted") > 0.8
    low, high = interval(rows, lambda r: area(r, 1, "exchanged"), rounds=50)
    assert low <= area(rows, 1, "exchanged") <= high
    slope, _ = scale(rows, 1)
    assert slope > 0


@pytest.mark.parametrize("network", [SyncLite(), SyncLite(patches=False), SyncLinear()])
def test_the_exported_file_says_what_the_network_says(
    network: SyncLite | SyncLinear, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    assert export(network.eval(), path) < 1e-4
    assert largest_difference(network, path) < 1e-4


def test_the_cue_runs_the_exported_file_as_training_runs_the_network(
    ready: list[Ready], tmp_path: Path
) -> None:
    network = fit_linear(ready)
    path = tmp_path / "model.onnx"
    export(network, path)
    cue = LipSync(Model("lips", path, "0" * 64, "", path, None, None))
    window = _clip(9).window(Span(0, 8), fps=15)
    lips = [burst(window, rows) for rows in followable(window.times)]
    expected = by_network(network)(lips, window.sound)
    np.testing.assert_allclose(cue.curve(lips, window.sound), expected, atol=1e-4)
    reading = cue.measure(window)
    assert reading.value is not None
    assert reading.value < -3.5
