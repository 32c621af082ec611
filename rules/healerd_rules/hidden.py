"""Finds characters that nobody sees, and that can make a line read otherwise than it loads.

It never changes a text that is loaded. The idea of the attack: Boucher and Anderson, Trojan Source, 2021.
"""

import re
from collections.abc import Iterator

from healerd_rules.tree import Span

__all__ = ["hidden_characters", "visible"]

# Control characters, among them those that drive terminals; separators that some editors show as line ends; signs
# without width, and letters and tags that are blank; what changes the direction of text. Joiners and direction marks
# stay: some scripts need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u2028\u2029\u200b\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\ud800-\udfff"
    "\xad\u115f\u1160\u2800\u3164\uffa0\U000e0000-\U000e007f]"
)


def hidden_characters(text: str) -> Iterator[tuple[Span, str]]:
    """Each such character: its place, and its name such as `U+202E`."""
    for match in _HIDDEN.finditer(text):
        yield Span(match.start(), match.end()), f"U+{ord(match[0]):04X}"


def visible(text: str) -> str:
    """The text with a sign for each such character, to be shown in a terminal."""
    return _HIDDEN.sub("\ufffd", text)
