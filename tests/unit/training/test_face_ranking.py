"""Figures of judged files, and the windows they come from."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from monitor.training.face.forgery.evaluate import (
    album_report,
    compared,
    flagged,
    judged,
    methods,
    page_report,
    threshold_of,
)
from monitor.training.face.forgery.peer import Adapter, peer_scores
from monitor.training.face.forgery.ranking import (
    Judged,
    auc,
    auc_difference,
    macro_auc,
    measured,
    with_both,
)
from monitor.training.face.pictures.album import FaceFile
from monitor.training.face.pictures.looks import Looks, Rendition, bits_per_pixel, send_again


class Brightness:
    """Stands in for a session: the mean of each picture."""

    inputs = ("picture",)

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        faces = feeds["picture"]
        self.shapes.append(faces.shape)
        return [faces.mean(axis=(1, 2, 3))]


def table(rows: list[tuple[float, float, bool, str, str]]) -> Judged:
    """Rows of score, rival's score, fake, group and source."""
    return Judged(
        score=np.array([r[0] for r in rows]),
        rival=np.array([r[1] for r in rows]),
        fake=np.array([r[2] for r in rows]),
        group=np.array([r[3] for r in rows]),
        source=np.array([r[4] for r in rows]),
        family=np.array(["faceswap" if r[2] else "human" for r in rows]),
        method=np.array(["swap" if r[2] else "human" for r in rows]),
        video=np.zeros(len(rows), bool),
    )


SHIFTED = table(
    [
        (1.0, 2.0, False, "a", "page1"),
        (2.0, 1.0, True, "b", "page1"),
        (11.0, 11.0, False, "c", "page2"),
        (12.0, 12.0, True, "d", "page2"),
    ]
)
"""Each page tells its own apart, but the pages differ more."""


def looks(number: list[int], time: list[float], faces: np.ndarray | None = None) -> Looks:
    count = len(number)
    crops = faces if faces is not None else np.zeros((count, 3, 224, 224), np.uint8)
    plain = np.full(count, 100.0)
    return Looks(crops, np.array(number), np.array(time), *[plain] * 5)


def file(name: str, fake: bool, kind: str = "video") -> FaceFile:
    family = "faceswap" if fake else "human"
    return FaceFile(
        Path(name), kind, fake, family, family, name, "page", "dev", 25.0, 6.0, audio=False
    )


def test_pages_are_compared_within_themselves() -> None:
    assert macro_auc(SHIFTED) == 1.0
    assert auc(SHIFTED) == 0.75
    assert auc_difference(SHIFTED) == pytest.approx(0.75 - 0.5)


def test_an_interval_draws_people_not_pictures() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for person in range(12):
        offset = rng.normal(0, 1)
        for _ in range(20):
            rows.append((offset + (person % 2), 0.0, bool(person % 2), f"p{person}", "s"))
    few = measured(table(rows), auc, rounds=300)
    each = [(s, r, f, f"{i}", p) for i, (s, r, f, _, p) in enumerate(rows)]
    many = measured(table(each), auc, rounds=300)
    assert few["value"] == many["value"]
    wide, narrow = (f["interval"][1] - f["interval"][0] for f in (few, many))
    assert wide > 2 * narrow
    assert (few["groups"], many["groups"]) == (12, 240)


def test_a_nested_interval_draws_pages() -> None:
    found = measured(SHIFTED, macro_auc, nested=True, rounds=50)
    assert found["value"] == 1.0
    assert found["sources"] == 2


def test_sources_with_one_label_are_left_out() -> None:
    alone = [(5.0, 0.0, False, "e", "page3")]
    rows = [
        tuple(row)
        for row in zip(
            SHIFTED.score, SHIFTED.rival, SHIFTED.fake, SHIFTED.group, SHIFTED.source, strict=True
        )
    ]
    both = with_both(table(rows + alone))
    assert set(both.source) == {"page1", "page2"}
    assert len(with_both(SHIFTED, least=2)) == 0


def test_a_file_counts_by_the_trimmed_mean_of_its_crops() -> None:
    seen = looks([0] * 5 + [1] * 2, [0.0, 0.2, 0.4, 3.2, 3.4, 0.0, 0.2])
    logit = np.array([0.0, 1.0, 2.0, 3.0, 100.0, 5.0, 7.0])
    files = [file("a", False), file("b", True), file("c", True)]
    whole = judged(files, seen, logit)
    assert list(whole.score) == [2.0, 6.0]
    assert list(whole.fake) == [False, True]
    windows = judged(files, seen, logit, window=3.0)
    assert list(windows.score) == [1.0, 51.5, 6.0]


def test_reports_hold_what_can_be_measured() -> None:
    seen = looks([0, 1, 2], [0.0, 0.0, 0.0])
    files = [file("a", False), file("b", True), file("c", False, "image")]
    whole = judged(files, seen, np.array([0.0, 1.0, 2.0]))
    report = album_report(whole, whole)
    assert report["videos"]["value"] == 1.0
    assert "images" not in report, "there is no forged picture"
    assert methods(whole)["faceswap (video)"]["interval"] is None, "one file is no sample"
    assert threshold_of(whole.chosen(whole.video)) == pytest.approx(1.0)
    assert flagged(whole, 1.5) == {"faceswap": [0.0, 1], "human": [0.5, 2]}


def test_unseen_pages_are_told_by_family() -> None:
    report = page_report(SHIFTED, 11.5)
    assert report["all"]["value"] == 1.0
    assert report["pooled"]["value"] == 0.75
    assert report["family faceswap"]["fake"] == 2
    assert set(report["pages"]) == {"page1", "page2"}
    assert report["flagged at the dev threshold"]["human"] == [0.0, 2]


def test_a_rival_is_compared_on_the_same_rows() -> None:
    found = compared(SHIFTED, paged=True)
    assert (found["ours"]["value"], found["rival"]["value"]) == (1.0, 0.5)
    assert found["difference"]["value"] == 0.5
    assert found["ours"]["fake"] == found["rival"]["fake"] == 2


@pytest.mark.parametrize("sign", [1, -1])
def test_a_peer_gets_its_own_size_part_and_range(sign: int) -> None:
    faces = np.zeros((2, 3, 224, 224), np.uint8)
    faces[1, :, 70:170, 62:162] = 255
    session = Brightness()
    adapter = Adapter(size=64, part=100, low=-1.0, high=1.0, sign=sign)
    scores = peer_scores(looks([0, 1], [0.0, 0.0], faces), session, adapter)  # type: ignore[arg-type]
    assert session.shapes == [(2, 3, 64, 64)]
    assert scores[0] == pytest.approx(-sign)
    assert sign * scores[1] > 0.95


def test_looks_survive_a_file(tmp_path: Path) -> None:
    seen = looks([0, 4], [0.0, 1.5])
    seen.save(tmp_path / "looks.npz")
    again = Looks.load(tmp_path / "looks.npz")
    for field in fields(Looks):
        assert (getattr(again, field.name) == getattr(seen, field.name)).all()


def test_a_clip_sent_again_is_smaller_and_costs_fewer_bits(tmp_path: Path) -> None:
    import av

    source, target = tmp_path / "a.mp4", tmp_path / "out" / "b.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.options = {"crf": "18", "preset": "ultrafast"}
        for _ in range(20):
            picture = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    send_again(source, target, Rendition("small", 120, 60))
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 20
    assert (frames[0].width, frames[0].height) == (160, 120)
    assert bits_per_pixel(target) < bits_per_pixel(source) / 2
