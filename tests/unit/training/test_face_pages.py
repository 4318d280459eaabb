"""Rules of pages → faces cut out without loss, divided by page before anything is scored."""

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Picture

from monitor.training.face.matched.gather import gather
from monitor.training.face.matched.pages import REAL, TEST, TRAIN, Cut, Page, load_pages, splits
from monitor.training.face.pictures.album import pictures, read_album

KEPT_OUT = (
    *("vasa", "emote", "anitalker", "aniportrait", "v-express", "sadtalker", "wav2lip"),
    *("personatalk", "fsgan", "omnihuman", "sonic", "actalker", "jimeng", "float"),
    *("synctalk", "roop", "hifivfs"),
)
RULES = """
[[page]]
source = "somebody/faces"
commit = "{commit}"
licence = "MIT"
family = "faceswap"
[[page.grid]]
files = ["grid.png"]
columns = 3
rows = 2
across = ["", "real", "swapper"]
skip = [0]
[[page.pair]]
real = "clip.mkv"
box = [0, 0, 32, 32]
fakes = [{{ method = "other", file = "clip.mkv", box = [32, 0, 64, 32] }}]
[[page.alone]]
files = ["grid.png"]
label = "real"
[[page.pair]]
real = "grid.png"
box = [500, 500, 600, 600]
fakes = []
"""


def test_what_others_measure_with_is_in_no_rule() -> None:
    for page in load_pages():
        for text in (page.source, *page.methods):
            assert not any(name in text.lower() for name in KEPT_OUT), text
    (live,) = (p for p in load_pages() if p.source == "iperov/DeepFaceLive")
    assert len({m.pair for m in live.members}) == 25
    assert len(live.members) == 50


def test_no_method_of_a_test_page_is_trained_on() -> None:
    pages = load_pages()
    drawn = splits(pages)
    assert drawn["iperov/DeepFaceLive"] == TRAIN
    methods = {
        s: {m for p in pages if drawn[p.source] == s for m in p.methods} for s in drawn.values()
    }
    assert methods[TEST]
    for split, found in methods.items():
        assert split == TEST or not found & methods[TEST]


def test_every_pair_has_both_members() -> None:
    for page in load_pages():
        for pair in {m.pair for m in page.members if m.pair}:
            methods = [m.method for m in page.members if m.pair == pair]
            assert methods.count(REAL) == 1, (page.source, pair)
            assert len(methods) > 1


def test_cells_lie_between_edges_or_are_equal() -> None:
    assert Cut(columns=4, rows=2, column=3, row=1).box(400, 200) == (300, 100, 400, 200)
    assert Cut((10, 20, 30, 60), columns=2, column=1).box(400, 200) == (20, 20, 30, 60)
    assert Cut(columns=(0, 7, 20), column=1).box(400, 200) == (7, 0, 20, 200)
    with pytest.raises(ValueError, match="outside 40x20"):
        Cut((50, 0, 60, 10)).box(40, 20)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("[[page.grid]]\nfiles = ['a']\ncolumns = 3\nacross = ['real', 'x']", "as many roles"),
        ("[[page.pair]]\nreal = 'a'", "lacks 'fakes'"),
        ("[[page.alone]]\nfiles = ['a']\nlabel = 'fake'", "lacks 'method'"),
        ("[[page.pair]]\nreal = 'a'\nbox = [1, 2]\nfakes = []", "not enough values"),
    ],
)
def test_a_bad_rule_names_its_page(tmp_path: Path, rule: str, said: str) -> None:
    head = "[[page]]\nsource = 'a/b'\ncommit = 'c'\nlicence = ''\nfamily = ''\n"
    (tmp_path / "pages.toml").write_text(head + rule)
    with pytest.raises(ValueError, match="a/b: .*" + said):
        load_pages(tmp_path / "pages.toml")


def test_pages_that_share_a_method_stay_together() -> None:
    def page(source: str, *methods: str) -> Page:
        rules = "".join(
            f"[[page.alone]]\nfiles = ['{m}']\nlabel = 'fake'\nmethod = '{m}'\n" for m in methods
        )
        return load_text(source, rules)

    pages = [page(f"p/{i}", f"m{i}", f"m{i + 1}") for i in range(0, 40, 2)]
    assert len(set(splits(pages).values())) == 3
    chained = [page(f"p/{i}", f"m{i}", f"m{i + 1}") for i in range(20)]
    assert len(set(splits(chained).values())) == 1


def load_text(source: str, rules: str) -> Page:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.toml"
        path.write_text(
            f"[[page]]\nsource = '{source}'\ncommit = ''\nlicence = ''\nfamily = ''\n{rules}"
        )
        return load_pages(path)[0]


@pytest.fixture
def clone(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A repository with a grid of 3 x 2 pictures and a clip of two panels."""
    folder = tmp_path / "clones" / "somebody+faces"
    folder.mkdir(parents=True)
    picture = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    Picture.fromarray(picture).save(folder / "grid.png")
    with av.open(str(folder / "clip.mkv"), "w") as out:
        stream = out.add_stream("libx264rgb", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "rgb24"
        stream.options = {"qp": "0"}
        for number in range(50):
            level = np.full((32, 64, 3), number, np.uint8)
            level[:, 32:] += 100
            out.mux(stream.encode(av.VideoFrame.from_ndarray(level, format="rgb24")))
        out.mux(stream.encode(None))
    git = ("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "a")):
        subprocess.run([*git, *command], check=True)
    return folder, picture


def test_faces_are_cut_out_without_loss(
    tmp_path: Path, clone: tuple[Path, np.ndarray], caplog: pytest.LogCaptureFixture
) -> None:
    folder, picture = clone
    head = subprocess.run(
        ["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    )
    (tmp_path / "pages.toml").write_text(RULES.format(commit=head.stdout.strip()))
    pages = load_pages(tmp_path / "pages.toml")
    for _ in range(2):  # Another run keeps what is there, and doubles no line.
        gather(pages, tmp_path / "clones", tmp_path / "album")
    files = read_album(tmp_path / "album")
    assert [(f.kind, f.fake, f.method) for f in files] == [
        *(("image", False, "human"), ("image", True, "swapper")),
        *(("video", False, "human"), ("video", True, "other"), ("image", False, "human")),
    ]
    assert files[0].pair == files[1].pair != files[2].pair == files[3].pair
    assert files[4].pair == ""
    (_, cell), (_, other) = (next(pictures(f.path)) for f in files[:2])
    assert (cell == picture[20:, 30:60]).all()
    assert (other == picture[20:, 60:]).all()
    left, right = ([p for _, p in pictures(f.path)] for f in files[2:4])
    assert len(left) == len(right) == 25  # Of 25 pictures a second each other one is kept.
    assert [int(p[0, 0, 0]) for p in left] == list(range(0, 50, 2))
    assert all((p == 100 + int(q[0, 0, 0])).all() for p, q in zip(right, left, strict=True))
    assert "lies outside 90x40" in caplog.text


def test_a_page_without_a_clone_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gather([load_text("no/where", "")], tmp_path, tmp_path / "album")
    assert "no/where: no clone" in caplog.text
