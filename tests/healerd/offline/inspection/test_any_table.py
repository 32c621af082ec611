"""Any two tables give a report or an error that helps; a report is always whole JSON, words and page."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healerd.errors import HealerdError
from healerd.offline.inspection import Columns, InspectOptions, inspect_file
from healerd.offline.inspection.contract import inspection_json
from healerd.offline.inspection.page import inspection_page

VALUES = st.one_of(
    st.sampled_from(
        ["", "NA", "0", "1", "-0.0", "1e308", "-1e308", "inf", "nan", "abc", "true", "1_000", "2026-01-01"]
    ),
    st.integers(-3, 3).map(str),
    st.floats(-100, 100).map(lambda value: f"{value:.3f}"),
)
TIMES = st.one_of(
    st.integers(0, 2000).map(lambda hour: f"2026-01-{1 + hour // 24 % 28:02d}T{hour % 24:02d}:00:00Z"),
    st.sampled_from(["2026-01-05", "2026-01-05T03:00:00+02:00", "2099-01-01T00:00:00", "soon", ""]),
)


@st.composite
def tables(draw) -> str:
    """A table with some of the columns that a report may be asked about, each of any content."""
    names = draw(st.lists(st.sampled_from(["time", "a", "b", "score", "said", "truth"]), unique=True, min_size=1))
    rows = draw(st.integers(0, 30)) * draw(st.sampled_from([1, 1, 10]))
    pools = {
        name: draw(
            st.lists(TIMES if name == "time" else VALUES, min_size=1, max_size=draw(st.sampled_from([1, 3, 12])))
        )
        for name in names
    }
    lines = [",".join(pools[name][(k * 7 + len(name)) % len(pools[name])] for name in names) for k in range(rows)]
    return "\n".join([",".join(names), *lines]) + "\n"


ASKED = st.builds(
    Columns,
    label=st.sampled_from([None, "truth"]),
    prediction=st.sampled_from([None, "said"]),
    score=st.sampled_from([None, "score"]),
    time=st.sampled_from([None, "time"]),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    usual=tables(),
    found=tables(),
    same=st.booleans(),
    asked=ASKED,
    size=st.sampled_from([None, 1, 7]),
    segment=st.sampled_from([None, None, "b"]),
    loss=st.sampled_from([None, "zero-one", "absolute 1"]),
)
def test_any_tables_give_a_report_or_an_error_that_helps(
    *,
    folder: Path,
    usual: str,
    found: str,
    same: bool,
    asked: Columns,
    size: int | None,
    segment: str | None,
    loss: str,
) -> None:
    """Nothing but a HealerdError is raised, and what is reported holds no NaN or infinity."""
    reference, file = folder / "usual.csv", folder / "found.csv"
    reference.write_text(usual)
    file.write_text(usual if same else found)
    rows = None if asked.time else size
    options = InspectOptions(
        file=file, reference=reference, columns=asked, window_rows=rows, segment=segment, loss=loss
    )
    try:
        report = inspect_file(options)
    except HealerdError:
        return
    json.dumps(inspection_json(report), allow_nan=False)
    assert inspection_page(report).endswith("</html>\n")
