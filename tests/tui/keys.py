"""Writes the page of keys into the README of the terminal UI: `python -m tests.tui.keys`."""

import re
from pathlib import Path

from healerd_tui.actions import keys_page

README = Path(__file__).parents[2] / "tui" / "README.md"


def main() -> None:
    text = README.read_text(encoding="utf-8")
    page = f"<!-- keys -->\n{keys_page()}<!-- end of keys -->"
    README.write_text(re.sub(r"<!-- keys -->\n.*<!-- end of keys -->", lambda _: page, text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
