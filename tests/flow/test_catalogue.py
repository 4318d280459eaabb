"""A model is used only if it is the file the manifest describes."""

from pathlib import Path

import pytest

from monitor.inference.catalogue import Catalogue, CatalogueError, sha256

ENTRY = """
[[model]]
name = "voice"
file = "model.onnx"
sha256 = "{sha}"
license = "Apache-2.0"
card = "card.md"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "card.md").write_text("card")
    entry = ENTRY.format(sha=sha256(tmp_path / "model.onnx"))
    (tmp_path / "manifest.toml").write_text(entry)
    return tmp_path


def test_a_whole_model_is_taken(folder: Path) -> None:
    model = Catalogue(folder).verified("voice")
    assert model.version == model.sha256[:12]


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("model.onnx", b"other", "model.onnx"),
        ("manifest.toml", b"[[model]]\nname = 'voice'\n", "'file'"),
        ("manifest.toml", b"[[model", "manifest.toml"),
        ("manifest.toml", b"", "no model named 'voice'"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, file: str, content: bytes, named: str) -> None:
    (folder / file).write_bytes(content)
    with pytest.raises(CatalogueError, match=named):
        Catalogue(folder).verified("voice")


@pytest.mark.parametrize("file", ["model.onnx", "card.md", "manifest.toml"])
def test_what_is_missing_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(CatalogueError, match=file):
        Catalogue(folder).verified("voice")
