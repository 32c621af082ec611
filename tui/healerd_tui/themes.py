"""The colours of the terminal UI: five themes of our own, and what each role of a text looks like in them.

Hues are those of Okabe and Ito (Color Universal Design, 2008), moved until text in them can be read (WCAG 2) and, in
the themes for colour-blind eyes, until no two states look alike. Must never be the only carrier of a meaning, and never
name a colour anywhere but in the tables below.
"""

from collections.abc import Mapping
from typing import Any

from rich.style import Style
from textual.app import App
from textual.theme import Theme

__all__ = ["DEFAULT", "ROLES", "THEMES", "register", "styles", "variable_defaults"]

DEFAULT = "healerd-dark"

ROLES: Mapping[str, tuple[str, str]] = {
    "ok": ("state-ok", ""),
    "watch": ("state-watch", ""),
    "drift": ("state-drift", ""),
    "pending": ("state-pending", "bold reverse"),
    "healing": ("state-healing", ""),
    "cooldown": ("state-cooldown", ""),
    "vetoed": ("state-vetoed", ""),
    "failed": ("state-failed", "bold"),
    "paused": ("state-paused", ""),
    "stale": ("state-stale", "italic"),
    "text": ("foreground", ""),
    "title": ("foreground", "bold"),
    "strong": ("foreground", "bold"),
    "label": ("quiet", "bold"),
    "quiet": ("quiet", ""),
    "urgent": ("state-pending", "bold reverse"),
    "axis": ("quiet", ""),
    "plot-line": ("plot-line", ""),
    "plot-other": ("plot-other", ""),
    "plot-third": ("plot-third", ""),
    "reference": ("plot-reference", ""),
    "current": ("plot-line", ""),
    "both": ("plot-both", ""),
    "band": ("plot-band", ""),
    "threshold": ("plot-threshold", ""),
    "cursor": ("foreground", "bold"),
    "gap": ("state-drift", "bold"),
    "source-keyword": ("source-keyword", "bold"),
    "source-name": ("foreground", ""),
    "source-number": ("source-number", ""),
    "source-string": ("source-string", ""),
    "source-comment": ("quiet", "italic"),
    "source-sign": ("quiet", ""),
    "rule-line": ("state-watch", "bold"),
}
"""Role -> variable of its colour, and what else marks it. A picture of a plot names roles, never colours."""

_NAMES = ("ok", "watch", "drift", "healing", "vetoed", "failed", "cooldown")


def _theme(
    name: str,
    *,
    dark: bool,
    ground: str,
    surface: str,
    panel: str,
    text: str,
    states: str,
    quiet: str,
    faint: str,
) -> Theme:
    colour = dict(zip(_NAMES, states.split(), strict=True))
    variables = {f"state-{word}": value for word, value in colour.items()} | {
        "state-pending": colour["healing"],
        "state-pending-on": ground,
        "state-paused": colour["cooldown"],
        "state-stale": quiet,
        "quiet": quiet,
        "plot-line": colour["healing"],
        "plot-other": colour["drift"],
        "plot-third": colour["vetoed"],
        "plot-reference": quiet,
        "plot-both": colour["cooldown"],
        "plot-band": faint,
        "plot-threshold": colour["failed"],
        "source-keyword": colour["healing"],
        "source-number": colour["drift"],
        "source-string": colour["ok"],
        "text-muted": quiet,
        "block-cursor-background": colour["healing"],
        "block-cursor-foreground": ground,
        "footer-key-foreground": colour["healing"],
        "border-blurred": quiet,
    }
    return Theme(
        name=name,
        dark=dark,
        primary=colour["healing"],
        secondary=colour["cooldown"],
        accent=colour["healing"],
        success=colour["ok"],
        warning=colour["drift"],
        error=colour["failed"],
        foreground=text,
        background=ground,
        surface=surface,
        panel=panel,
        variables=variables,
    )


THEMES: tuple[Theme, ...] = (
    _theme(
        "healerd-dark",
        dark=True,
        ground="#101418",
        surface="#151A1F",
        panel="#1B2127",
        text="#E4E8EB",
        quiet="#96A0AA",
        faint="#3A4550",
        states="#1FB98C #F0E442 #E69F00 #56B4E9 #CC79A7 #F07A3A #AEB6BE",
    ),
    _theme(
        "healerd-light",
        dark=False,
        ground="#FFFFFF",
        surface="#F8F6F3",
        panel="#F1EEE8",
        text="#1C2126",
        quiet="#5E6670",
        faint="#CFC9BF",
        states="#00704F #6B6000 #9A5B00 #0A66A8 #9B3D74 #B03A00 #4C545D",
    ),
    _theme(
        "healerd-contrast",
        dark=True,
        ground="#000000",
        surface="#000000",
        panel="#0A0A0A",
        text="#FFFFFF",
        quiet="#C8C8C8",
        faint="#6A6A6A",
        states="#3FD9B0 #FFFF66 #FFB000 #6FC3FF #FF8AD8 #FF7A3D #DADADA",
    ),
    _theme(
        "healerd-cvd-dark",
        dark=True,
        ground="#101418",
        surface="#151A1F",
        panel="#1B2127",
        text="#E4E8EB",
        quiet="#96A0AA",
        faint="#3A4550",
        states="#04C799 #FFFF00 #E7A100 #1385FF #A976AE #C97100 #D5DAE0",
    ),
    _theme(
        "healerd-cvd-light",
        dark=False,
        ground="#FFFFFF",
        surface="#FAF8F6",
        panel="#F5F3F0",
        text="#1C2126",
        quiet="#5E6670",
        faint="#CFC9BF",
        states="#1B7573 #454F00 #706F12 #0000FF #8508B3 #270000 #33383E",
    ),
)
"""High contrast means at least 7:1 everywhere; `cvd` is for eyes that do not tell red from green."""


def register(app: App[Any]) -> None:
    """Make the themes known to `app`; the caller chooses one by its name."""
    for theme in THEMES:
        app.register_theme(theme)


def variable_defaults(theme: Theme) -> dict[str, str]:
    """Find our variables for a theme that is not ours: what `App.get_theme_variable_defaults` should answer."""
    own = next(each for each in THEMES if each.dark is theme.dark)
    return dict(own.variables) if theme in THEMES else {name: own.variables[name] for name in _ours(own)}


def styles(variables: Mapping[str, str]) -> Mapping[str, Style]:
    """Make the style of each role, from `App.theme_variables`."""
    defaults = THEMES[0].variables
    return {
        role: Style.parse(f"{marks} {_plain(variables.get(name) or defaults.get(name, ''))}".strip() or "none")
        for role, (name, marks) in ROLES.items()
    }


def _ours(theme: Theme) -> list[str]:
    return [name for name in theme.variables if name.startswith(("state-", "plot-", "source-", "quiet"))]


def _plain(colour: str) -> str:
    """Leave out what is no colour of its own, such as `auto 87%` or `ansi_default`: the terminal's own is then used."""
    return colour if colour.startswith("#") and len(colour) == 7 else ""
