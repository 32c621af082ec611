"""Writes the TextMate grammar: `python -m tests.rules.textmate`."""

from pathlib import Path

from healerd_rules.textmate import textmate

GRAMMAR = Path(__file__).parents[2] / "rules" / "healerd.tmLanguage.json"

if __name__ == "__main__":
    GRAMMAR.write_text(textmate(), encoding="utf-8")
