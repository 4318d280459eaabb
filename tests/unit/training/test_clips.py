"""Splits are by source, hold speakers apart and leak nothing."""

import tomllib
from pathlib import Path

import pytest

from monitor.training.data.clips import SPLITS_FILE, Split, fraction, load_clips, load_splits
from monitor.training.data.pages import BONAFIDE, SPOOF, Page, load_pages

HEADER = (
    "path,label,generator,generator_family,speaker,language,condition,source,licence,"
    "orig_sample_rate,orig_codec,duration_s\n"
)


def _row(path: str, label: str, speaker: str, source: str) -> str:
    return f"{path},{label},g,f,{speaker},en,,{source},unstated,16000,wav,3.0\n"


def test_splits_are_disjoint_and_by_source(tmp_path: Path) -> None:
    shared = next(iter(load_splits().shares))
    lines = [HEADER, _row("t", "spoof", "s", "bigvgan-demo/bigvgan-demo.github.io")]
    lines += [_row("new", "bonafide", "s", "somewhere/new")]
    lines += [_row(f"{i}", "bonafide", f"s{i % 50}", shared) for i in range(200)]
    lines += [_row(f"c{i}", "spoof", f"s{i % 50}", f"pypi:x of {shared}") for i in range(200)]
    (tmp_path / "manifest.csv").write_text("".join(lines))
    clips = load_clips(tmp_path)
    assert clips[0].split is Split.TEST
    assert clips[1].split is Split.TRAIN
    people = {clip.speaker: clip.split for clip in clips[2:202]}
    assert {Split.HUMAN, Split.TRAIN} == set(people.values())
    for clip in clips[2:]:
        expected = people[clip.speaker]
        if clip.fake and expected is Split.HUMAN:
            expected = Split.NONE
        assert clip.split is expected


def test_copies_of_held_out_sources_are_not_used() -> None:
    splits = load_splits()
    test = next(name for name, split in splits.by_source.items() if split is Split.HUMAN)
    assert splits.of(f"pypi:pyworld of {test}", "s", "WORLD", fake=True) is Split.NONE


@pytest.mark.parametrize("name", ["a", "b/c", "long name"])
def test_fraction_depends_on_the_name_only(name: str) -> None:
    assert fraction(name) == fraction(name)
    assert 0 <= fraction(name) < 1


def test_a_generator_that_is_held_out_is_trained_on_nowhere() -> None:
    splits = load_splits()
    assert splits.of("somewhere/new", "s", "TTS + BigVGAN", fake=True) is Split.NONE
    assert splits.of("somewhere/new", "s", "TTS + MelGAN", fake=True) is Split.TRAIN
    test = next(name for name, split in splits.by_source.items() if split is Split.TEST)
    assert splits.of(test, "s", "TTS + BigVGAN", fake=True) is Split.TEST


def _drawn(page: Page, rule: dict[str, float]) -> Split:
    share = fraction(f"draw/{page.source}")
    both = {rule.label for rule in page.rules} >= {SPOOF, BONAFIDE}
    if not both or share >= rule["test"] + rule["dev"]:
        return Split.TRAIN
    return Split.TEST if share < rule["test"] else Split.DEV


def test_later_pages_are_dealt_out_by_the_rule_of_the_draw() -> None:
    table = tomllib.loads(SPLITS_FILE.read_text(encoding="utf-8"))
    split = load_splits().by_source
    pages = load_pages()
    assert len({page.source for page in pages}) == len(pages)
    assert load_splits().drawn_after == table["draw"][0]["after"]
    rules, spared, drawn = {it["after"]: it for it in table["draw"]}, set(table["spared"]), set()
    rule = None
    for page in pages:
        if rule is not None:
            listed, expected = split.get(page.source, Split.TRAIN), _drawn(page, rule)
            fakes = SPOOF in {rule.label for rule in page.rules}
            if page.source in spared:
                assert (listed, expected) != (Split.TRAIN, Split.TRAIN), page.source
                drawn.add(page.source)
            elif fakes or listed is not Split.HUMAN:
                assert listed is expected, page.source
        rule = rules.pop(page.source, rule)
    assert not rules
    assert drawn == spared
