"""Takes the pictures of the README: `python -m tests.tui.pictures` writes tui/pictures/*.svg."""

import asyncio
from pathlib import Path

from tests.tui.scenes import an_app, scene

FOLDER = Path(__file__).parents[2] / "tui" / "pictures"
VIEWS = ("fleet", "inbox", "prompt", "veto", "pipeline", "traces", "trace", "diff", "rules", "audit", "health", "help")
SIZE = (120, 36)


async def take(view: str) -> str:
    app = an_app()
    async with app.run_test(size=SIZE) as pilot:
        await scene(view)(pilot)
        return app.export_screenshot(title=f"healerd tui: {view}")


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for view in VIEWS:
        (FOLDER / f"{view}.svg").write_text(asyncio.run(take(view)), encoding="utf-8")


if __name__ == "__main__":
    main()
