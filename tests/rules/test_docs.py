"""References are what the code says, and links lead somewhere."""

import re
from pathlib import Path

import pytest

from docs import build

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "models").rglob("*.md")]
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return build.written()


@pytest.mark.parametrize("name", ["api.md", "metrics.md"])
def test_a_reference_is_what_the_code_says(written: dict[str, str], name: str) -> None:
    current = (ROOT / "docs" / name).read_text() == written[name]
    assert current, f"docs/{name} is out of date: run `python -m docs.build` and commit it"


def anchors(page: Path) -> set[str]:
    """What headings are called in links, as GitHub makes it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    titles = re.findall(r"^#{1,6} (.+?)\s*$", text, re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in plain}


def dead(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_a_dead_link_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One two: `three`\n[b](b.md) [c](#one-two-three) [d](#four)\n")
    assert dead(tmp_path / "a.md") == ["b.md", "#four"]


def test_every_page_is_reached_from_the_readme() -> None:
    seen, queue = set(), [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen:
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(page.read_text()))
        targets = ((page.parent / link).resolve() for link in links if link.endswith(".md"))
        queue += [target for target in targets if target.exists()]
    assert set(PAGES) <= seen
