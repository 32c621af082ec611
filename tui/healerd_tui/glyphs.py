"""The signs of the terminal UI: how a pipeline stands, and what happened to it, each as sign, word and colour.

Must never let a sign or a colour stand without its word where it says how something stands, and never draw a sign whose
width a terminal may see differently: where that can be, everything is ASCII.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from healerd.client.words import GLYPHS

__all__ = ["MARKS", "STATES", "GlyphSet", "State", "detect", "say_state", "sign", "state", "urgency"]


class GlyphSet(StrEnum):
    """Which signs the terminal can draw; each falls back to the next."""

    BRAILLE = "braille"
    BLOCKS = "blocks"
    ASCII = "ascii"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a pipeline stands: sign, word and colour mean the same, and the word is always there."""

    word: str
    glyph: str
    ascii: str
    variable: str
    meaning: str
    urgency: int


_MEANINGS: Mapping[str, str] = {
    "pending": "waits for a person, with a deadline",
    "failed": "a heal or the service failed",
    "drift": "confirmed: the evidence crossed its line",
    "healing": "an action is running",
    "watch": "one detector is over, not confirmed",
    "stale": "no data newer than two windows",
    "paused": "paused by a person",
    "vetoed": "a person said no",
    "cooldown": "heals are barred for a while",
    "ok": "the last window was inside the reference",
}

STATES: Mapping[str, State] = {
    word: State(
        word=word,
        glyph=GLYPHS[word][0],
        ascii=GLYPHS[word][1],
        variable=f"state-{word}",
        meaning=meaning,
        urgency=urgency,
    )
    for urgency, (word, meaning) in enumerate(_MEANINGS.items())
}
"""Word -> state, most urgent first."""

MARKS: Mapping[str, tuple[str, str]] = {
    "drift": ("◆", "D"),
    "heal": ("↻", "~"),
    "promotion": ("↑", "^"),
    "undo": ("↶", "u"),
    "veto": ("⊘", "x"),
    "pending": ("▲", "?"),
    "failed": ("■", "F"),
}
"""What stands on a time axis: kind -> sign, and the same in ASCII; more urgent ones hide the others."""

_SIGNS: Mapping[str, tuple[str, str]] = {
    **MARKS,
    "check": ("✓", "v"),
    "cross": ("✗", "x"),
    "live": ("●", "*"),
    "away": ("◌", "-"),
    "up": ("↑", "^"),
    "down": ("↓", "v"),
    "more": ("…", "~"),
    "pointer": ("▸", ">"),
    "open": ("▾", "v"),
    "closed": ("▸", ">"),
    "warn": ("⚠", "!"),
    "separator": ("·", "-"),
    "marked": ("✓", "*"),
}


def state(word: str) -> State:
    """Find a state by its word; one that is not known is shown as it is called, as urgent as what is stale."""
    known = STATES.get(word.lower())
    if known is not None:
        return known
    stale = STATES["stale"]
    return State(
        word=word,
        glyph="?",
        ascii="[??]",
        variable=stale.variable,
        meaning="not known to this version",
        urgency=stale.urgency,
    )


def say_state(word: str, glyphs: GlyphSet) -> str:
    """Write sign and word: `▲ PENDING`, or `[? ] PENDING` in ASCII."""
    found = state(word)
    return f"{found.ascii if glyphs is GlyphSet.ASCII else found.glyph} {found.word.upper()}"


def urgency(word: str) -> int:
    """Rank a state for sorting: 0 is what a person should see first."""
    return state(word).urgency


def sign(name: str, glyphs: GlyphSet) -> str:
    """Find a sign of one cell by its name, in ASCII where the terminal asks for it."""
    return _SIGNS[name][glyphs is GlyphSet.ASCII]


def detect(environ: Mapping[str, str], encoding: str, *, ascii_only: bool = False) -> GlyphSet:
    """Tell what the terminal can draw, from its environment and the encoding of its output.

    ASCII where the signs would come out wrong: another encoding than UTF-8, the bare console, and the locales of East
    Asia, where terminals may draw `●`, `◆` and the lines of boxes two cells wide. `HEALERD_GLYPHS` names a set.
    """
    asked = environ.get("HEALERD_GLYPHS", "").lower()
    if ascii_only:
        return GlyphSet.ASCII
    if asked in set(GlyphSet):
        return GlyphSet(asked)
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    east_asian = locale.lower().replace("-", "_").split("_")[0].split(".")[0] in {"zh", "ja", "ko"}
    is_utf8 = encoding.lower().replace("-", "").replace("_", "") in {"utf8", "utf8sig"}
    bare = environ.get("TERM", "") in {"linux", "dumb", "vt100", "vt102", "vt220"}
    return GlyphSet.ASCII if east_asian or bare or not is_utf8 else GlyphSet.BRAILLE
