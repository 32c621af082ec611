"""The report page shows what the report holds, and trusts none of its texts."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from healerd.offline.baselines import Line
from healerd.offline.contract import Audit, Baseline, Counts, Data, EventKind, EventRecord, Metric, Report
from healerd.offline.report_html import report_page
from tests.healerd.offline.streams import a_stream

EVIL = "<script>alert('x')</script>"
STREAM = replace(a_stream(np.tile([0.0, 1.0], 200), first=20), path=Path(f"{EVIL}.csv"))
EVENT = EventRecord(
    at="2024-01-20T00:00:00Z", kind=EventKind.ACTED, pipeline="made", action="promote", reason=EVIL, outcome=EVIL
)
REPORT = Report(
    data=Data(rows=400, columns=2, from_="2024-01-01T00:00:00Z", to="2024-02-09T21:36:00Z", sha256="0" * 64),
    baselines=(Baseline(name=EVIL, quality=0.5, retrains=0),),
    healerd=Counts(quality=0.9, retrains=1, trainings=2, rollbacks=0, fallbacks=0, other=0),
    metric=Metric(name=EVIL, higher_is_better=True),
    events=(EVENT, EventRecord(at="2024-01-21T00:00:00Z", kind=EventKind.INJECTED, pipeline="made")),
    audit=Audit(leaves=1234, verified=True),
    seconds=1.0,
)
LINES = [
    Line(name=EVIL, losses=np.ones(380), retrains=0),
    Line(name="healerd", losses=np.where(np.arange(380) < 100, np.nan, 0.0), retrains=1),
]


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in {"meta", "br", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag, f"</{tag}> closes another tag"


def test_no_text_becomes_a_tag() -> None:
    """Names, reasons and the file's own name are shown, never run."""
    page = report_page(REPORT, LINES, STREAM, story=[EVIL])
    assert "script" not in Tags(page).tags
    assert "&lt;script&gt;" in page


def test_every_tag_is_closed() -> None:
    """The page is well-formed."""
    assert not Tags(report_page(REPORT, LINES, STREAM)).open


def test_each_way_of_serving_has_a_curve_and_a_row() -> None:
    """Curves and table hold every line once; the change of model and the injection are marked."""
    page = report_page(REPORT, LINES, STREAM)
    assert page.count('fill="none"') == 2
    assert page.count("stroke-dasharray") == 2
    assert "90.0%" in page
    assert "1,234 leaves, verified" in page


def test_a_log_that_does_not_verify_is_said_to() -> None:
    """The page never calls a broken log verified."""
    import msgspec

    broken = msgspec.structs.replace(REPORT, audit=Audit(leaves=3, verified=False))
    assert "NOT VERIFIED" in report_page(broken, LINES, STREAM)


def test_a_stretch_without_labels_leaves_a_gap() -> None:
    """Nothing is drawn where nothing is known."""
    unknown = [Line(name="healerd", losses=np.full(380, np.nan), retrains=0)]
    assert 'd="" fill="none"' in report_page(REPORT, unknown, STREAM)
