"""The glossary has every word of the house once, and the pages use its words as they are."""

import re

from healerd.decision import SCHEMA
from healerd_rules import load_text
from tests.house import pages
from tests.house.pages import ROOT

PAGE = ROOT / "docs" / "glossary.md"
TERMS = re.findall(r"^### (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
HOUSE = {
    "pipeline", "prediction", "window", "reference", "profile", "detector", "measurement", "alarm", "signal",
    "incident", "facts", "context", "rule", "guard", "verdict", "policy", "action", "proposal", "confidence",
    "propensity", "hold", "pause", "decision", "intent", "veto", "approval", "outcome", "reward", "cooldown", "trace",
}  # fmt: skip
"""The words that have one meaning each in the whole code."""
STATEMENTS = {
    "permit", "forbid", "require", "cooldown", "limit", "propose", "signal", "let", "metric", "scope", "calendar",
    "notify", "invariant", "test", "pack",
}  # fmt: skip


def test_each_word_stands_once() -> None:
    """No term is explained twice, and none of the house or of the rule language is left out."""
    assert len(TERMS) == len(set(TERMS))
    assert set(TERMS) >= HOUSE | STATEMENTS


def test_each_word_is_explained() -> None:
    """Under each term stands a sentence, and it is no term of another language."""
    text = PAGE.read_text(encoding="utf-8")
    for term in TERMS:
        said = text.split(f"### {term}\n", 1)[1].split("\n#", 1)[0].strip()
        assert len(said) > 20, term
        assert said.endswith("."), term


def test_links_to_words_lead_to_words() -> None:
    """Every link into the glossary names a term that is there."""
    known = pages.anchors(PAGE)
    for page in pages.PAGES:
        inside = "" if page == PAGE else r"(?:\S*/)?glossary\.md"
        for term in re.findall(rf"\]\({inside}#([^)]+)\)", pages.prose(page)):
            assert term in known, f"{pages.name_of(page)}: `{term}` is no term"


def test_words_of_the_language_are_words_of_the_language() -> None:
    """The statements that the glossary explains are those that the language has: their names are taken."""
    for word in STATEMENTS - {"test"}:
        assert load_text(f"let {word} = 1 > 0", name="x.heal", schema=SCHEMA).errors, f"`{word}` is a free name"
