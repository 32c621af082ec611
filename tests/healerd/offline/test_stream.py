"""A person's table becomes a stream, or an error that says what to mend."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from healerd.errors import ConfigError
from healerd.offline.options import TryOptions
from healerd.offline.stream import Stream, load_stream
from tests.healerd.offline.tables import drifting, table


def loaded(file: Path, **given: object) -> Stream:
    options = {"target": "wins", "time": "time", **given}
    return load_stream(TryOptions(file=file, **options))  # type: ignore[arg-type]


def refused(file: Path, **given: object) -> str:
    with pytest.raises(ConfigError) as refusal:
        loaded(file, **given)
    assert refusal.value.exit_code == 2
    return str(refusal.value)


def test_a_table_is_cut_into_windows_that_hold_every_served_row_once(tmp_path: Path) -> None:
    """Each row after the training lies in exactly one window."""
    stream = loaded(drifting(tmp_path / "t.csv"), train_rows=610)
    day = np.timedelta64(1, "D")
    starts = [stream.start_at.replace(tzinfo=None) + n * day.item() for n in range(stream.windows)]
    rows = [stream.served(at.replace(tzinfo=UTC), (at + day.item()).replace(tzinfo=UTC)) for at in starts]
    assert rows[0].start == 610
    assert rows[-1].stop == len(stream)
    assert all(one.stop == two.start for one, two in pairwise(rows))


def test_what_was_not_said_is_chosen_and_said(tmp_path: Path) -> None:
    """The window, the training part and the meaning of the target are printed when the person left them open."""
    stream = loaded(drifting(tmp_path / "t.csv"))
    assert stream.window_s == 86_400
    assert stream.first == 800
    told = "\n".join(stream.notes)
    assert "`wins` is taken as a class" in told
    assert "windows of 1 day" in told
    assert "first 800 rows" in told


def test_a_time_to_train_until_is_utc_and_exclusive(tmp_path: Path) -> None:
    """`--train-until` takes the rows strictly before that time."""
    stream = loaded(drifting(tmp_path / "t.csv"), train_until=datetime(2024, 1, 11, tzinfo=UTC))
    assert stream.first == 600
    assert stream.start_at == datetime(2024, 1, 11, tzinfo=UTC)


def test_a_label_is_known_at_the_end_of_its_window(tmp_path: Path) -> None:
    """No label is known before its window is over."""
    stream = loaded(drifting(tmp_path / "t.csv"))
    assert (stream.known_at > stream.at).all()
    assert set(np.unique(stream.known_at - stream.known_at.astype("datetime64[D]"))) == {np.timedelta64(0, "us")}


def test_ids_are_places_in_the_file(tmp_path: Path) -> None:
    """A row has the same name in every run."""
    stream = loaded(drifting(tmp_path / "t.csv"))
    assert list(stream.ids(slice(3, 5))) == ["row-3", "row-4"]


def test_without_a_time_column_the_order_of_the_file_counts(tmp_path: Path) -> None:
    """Rows without times come one a minute, and that is said."""
    lines = [f"{n % 7},{n % 2}" for n in range(3000)]
    stream = loaded(table(tmp_path / "t.csv", "a,wins", *lines), time=None)
    assert stream.at[60] - stream.at[0] == np.timedelta64(3600, "s")
    assert any("no time column" in note for note in stream.notes)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there ends with the path in the message."""
    assert "nowhere.csv" in refused(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(("given", "near"), [({"target": "win"}, "wins"), ({"time": "tim"}, "time")])
def test_a_missing_column_is_answered_with_the_nearest_name(tmp_path: Path, given: dict[str, str], near: str) -> None:
    """A column that is not there ends with the nearest one that is."""
    assert f"did you mean `{near}`?" in refused(drifting(tmp_path / "t.csv", days=2), **given)


def test_columns_are_left_out(tmp_path: Path) -> None:
    """What is ignored is no feature; a column that is not there is answered with the nearest."""
    whole = loaded(drifting(tmp_path / "t.csv"))
    name = next(iter(whole.features))
    assert set(loaded(tmp_path / "t.csv", ignored=(name,)).features) == set(whole.features) - {name}
    assert f"did you mean `{name}`?" in refused(tmp_path / "t.csv", ignored=(f"{name}x",))


def test_a_target_that_never_changes_is_refused(tmp_path: Path) -> None:
    """One class is nothing to predict."""
    lines = [f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{n},yes" for n in range(600)]
    assert "always `yes`" in refused(table(tmp_path / "t.csv", "time,a,wins", *lines))


def test_a_target_that_is_missing_everywhere_is_refused(tmp_path: Path) -> None:
    """No label is nothing to predict."""
    lines = [f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{n}," for n in range(600)]
    assert "missing in every row" in refused(table(tmp_path / "t.csv", "time,a,wins", *lines))


def test_one_class_in_the_training_rows_is_refused_with_the_mend(tmp_path: Path) -> None:
    """A model cannot learn from one class; more training rows may hold another."""
    lines = [f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{n},{'yes' if n < 400 else 'no'}" for n in range(700)]
    said = refused(table(tmp_path / "t.csv", "time,a,wins", *lines), train_rows=300, window_s=86_400.0)
    assert "only one class" in said
    assert "--train-rows" in said


def test_two_rows_are_too_few(tmp_path: Path) -> None:
    """Two rows neither train nor judge."""
    said = refused(table(tmp_path / "t.csv", "time,a,wins", "2024-01-01,1,yes", "2024-01-02,2,no"))
    assert "too few" in said


def test_free_text_is_no_class(tmp_path: Path) -> None:
    """A target of hundreds of texts is refused."""
    lines = [f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{n},name {n}" for n in range(600)]
    assert "600 different texts" in refused(table(tmp_path / "t.csv", "time,a,wins", *lines))


def test_a_time_that_does_not_parse_is_shown_with_its_row(tmp_path: Path) -> None:
    """The first value that is no time is named with its row."""
    said = refused(table(tmp_path / "t.csv", "time,a,wins", "2024-01-01,1,yes", "soon,2,no", "2024-01-02,2,no"))
    assert "row 2" in said
    assert "`soon`" in said


def test_a_time_that_goes_backwards_is_refused_with_the_mend(tmp_path: Path) -> None:
    """Rows out of order are not guessed into an order."""
    said = refused(table(tmp_path / "t.csv", "time,a,wins", "2024-01-02,1,yes", "2024-01-01,2,no"))
    assert "sort the file by `time`" in said


def test_a_million_columns_are_refused_before_they_are_read(tmp_path: Path) -> None:
    """A table that is far too wide ends at once, whatever its rows hold."""
    said = refused(table(tmp_path / "t.csv", ",".join(f"c{n}" for n in range(100_000)), "1"))
    assert "columns" in said


def test_more_columns_than_a_decision_can_record_are_refused_with_the_mend(tmp_path: Path) -> None:
    """A run does not end half way because its first decision is too large for the log."""
    lines = [f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{'yes' if n % 2 else 'no'}{',1' * 1001}" for n in range(300)]
    head = ",".join(["time", "wins", *(f"c{n}" for n in range(1001))])
    assert "leave some out" in refused(table(tmp_path / "t.csv", head, *lines))


def test_a_short_table_keeps_half_of_its_rows_to_serve(tmp_path: Path) -> None:
    """Where 200 rows are most of the table, fewer train."""
    stream = load_stream(TryOptions(file=drifting(tmp_path / "t.csv", days=4), target="wins", time="time"))
    assert stream.first == 120


def test_both_ways_to_say_what_trains_are_refused(tmp_path: Path) -> None:
    """Two answers to one question are an error."""
    file = drifting(tmp_path / "t.csv", days=2)
    assert "not both" in refused(file, train_rows=10, train_until=datetime(2024, 1, 2, tzinfo=UTC))


def test_too_few_windows_after_the_training_are_refused(tmp_path: Path) -> None:
    """Training on nearly everything leaves nothing to watch."""
    said = refused(drifting(tmp_path / "t.csv", days=10), train_rows=550)
    assert "windows" in said
    assert "--window" in said


def test_a_table_of_labels_alone_is_refused(tmp_path: Path) -> None:
    """Nothing can be learned from no feature."""
    lines = [f"2024-01-{1 + n // 24:02d}T{n % 24:02d}:00,{n % 2}" for n in range(600)]
    assert "nothing to learn from" in refused(table(tmp_path / "t.csv", "time,wins", *lines))
