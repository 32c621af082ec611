"""The demo's data is the file its README describes."""

import hashlib
import zipfile
from pathlib import Path

import duckdb

import healerd.offline.flights
from healerd.offline.flights.make_flights import make_flights

FOLDER = Path(healerd.offline.flights.__file__).parent
FLIGHTS = FOLDER / "flights-2013.parquet"
SOURCE = """\
time_hour,minute,origin,dest,carrier,distance,hour,air_time
2013-01-02T10:00:00Z,15,JFK,MIA,AA,1089,5,160
2013-01-01T23:00:00Z,59,EWR,IAH,UA,1400,18,227
2013-01-01T10:00:00Z,15,LGA,ATL,DL,762,5,NA
"""


def query(sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as db:
        return db.execute(sql).fetchall()


def test_the_file_is_the_one_the_readme_describes() -> None:
    """The README states the file's sha256."""
    digest = hashlib.sha256(FLIGHTS.read_bytes()).hexdigest()
    assert digest in (FOLDER / "README.md").read_text()


def test_the_columns_are_named_and_typed_as_described() -> None:
    """The file has the README's columns, in its order."""
    assert [row[:2] for row in query(f"describe from '{FLIGHTS}'")] == [
        ("time", "TIMESTAMP"),
        ("origin", "VARCHAR"),
        ("dest", "VARCHAR"),
        ("carrier", "VARCHAR"),
        ("distance", "SMALLINT"),
        ("hour", "TINYINT"),
        ("air_time", "SMALLINT"),
    ]


def test_the_flights_are_all_of_2013_and_complete() -> None:
    """Every flight with an air time is there, in its year, with no value missing."""
    filled = query(f"select count(columns(*)) from '{FLIGHTS}'")
    least = query(f"select min(time)::text, min(distance), min(hour), min(air_time) from '{FLIGHTS}'")
    greatest = query(f"select max(time)::text, max(distance), max(hour), max(air_time) from '{FLIGHTS}'")
    assert filled == [(327_346,) * 7]
    assert least == [("2013-01-01 10:15:00", 80, 5, 20)]
    assert greatest == [("2014-01-01 04:59:00", 4983, 23, 695)]


def test_the_flights_have_few_distinct_features() -> None:
    """Few rows differ in what the model sees, so that each need be predicted but once."""
    features = "(origin, dest, carrier, distance, hour)"
    assert query(f"select count(distinct {features}) from '{FLIGHTS}'") == [(2887,)]


def test_the_flights_are_sorted() -> None:
    """Rows come in order of time, ties in order of the other columns."""
    row = "(time, origin, dest, carrier, distance, hour, air_time)"
    order = f"select {row} < lag({row}) over (order by file_row_number) as falls"
    assert query(f"select bool_or(falls) from ({order} from read_parquet('{FLIGHTS}', file_row_number = true))") == [
        (False,)
    ]


def test_making_the_file_selects_and_sorts(tmp_path: Path) -> None:
    """A flight without an air time is left out; the minute joins the hour in UTC; time orders the rows."""
    with zipfile.ZipFile(tmp_path / "flights.csv.zip", "w") as archive:
        archive.writestr("flights.csv", SOURCE)
    parquet = tmp_path / "made.parquet"
    digest = make_flights(tmp_path / "flights.csv.zip", parquet)
    assert digest == hashlib.sha256(parquet.read_bytes()).hexdigest()
    assert query(f"select time::text, * exclude (time) from '{parquet}'") == [
        ("2013-01-01 23:59:00", "EWR", "IAH", "UA", 1400, 18, 227),
        ("2013-01-02 10:15:00", "JFK", "MIA", "AA", 1089, 5, 160),
    ]
