#!/usr/bin/env python3
"""Cut the example's landing files out of the full flights data, reproducibly.

    python3 gen/cut.py FOLDER        # FOLDER holds flights-3m.parquet and airports.csv

Needs the duckdb module. The landing files are committed, so nobody has to run this to use the example. Running it
again writes the same bytes: rows are sorted, gzip headers carry neither name nor time.
"""
import gzip
import io
import pathlib
import sys

import duckdb

FIRST, LAST = "2001-02-15", "2001-02-28"
LATE = "2001-02-23"    # this day's file arrives after the first run
BROKEN = "2001-02-20"  # one line was cut short in transfer; it is an added line, no flight is lost
WIDE = "2001-02-26"    # the sender added a column
BROKEN_AFTER = 8000    # rows before the broken line
BROKEN_LINE = "2001-02-20 12:1"


def day_csv(db, day):
    columns = "strftime(date, '%Y-%m-%d %H:%M:%S') AS date, delay, distance, origin, destination"
    if day == WIDE:
        columns += ", CAST(round(distance * 1.609344) AS BIGINT) AS distance_km"
    cursor = db.execute(
        f"""SELECT {columns} FROM flights WHERE CAST(date AS DATE) = CAST(? AS DATE)
            ORDER BY flights.date, origin, destination, delay, distance""",
        [day],
    )
    out = io.StringIO()
    out.write(",".join(c[0] for c in cursor.description) + "\n")
    for n, row in enumerate(cursor.fetchall()):
        if day == BROKEN and n == BROKEN_AFTER:
            out.write(BROKEN_LINE + "\n")
        out.write(",".join(str(v) for v in row) + "\n")
    return out.getvalue().encode()


def write_gzip(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(data)


def main():
    source = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).resolve().parent.parent
    db = duckdb.connect()
    db.execute(
        "CREATE VIEW flights AS SELECT * FROM read_parquet(?) WHERE date >= CAST(? AS DATE) "
        "AND date < CAST(? AS DATE) + INTERVAL 1 DAY".replace("?", "'{}'").format(
            source / "flights-3m.parquet", FIRST, LAST
        )
    )
    days = [str(r[0]) for r in db.execute("SELECT DISTINCT CAST(date AS DATE) FROM flights ORDER BY 1").fetchall()]
    for day in days:
        root = here / ("late" if day == LATE else "landing")
        write_gzip(root / "flights" / f"dt={day}" / "part-0.csv.gz", day_csv(db, day))
    airports = here / "landing" / "airports" / f"dt={FIRST}" / "airports.csv"
    airports.parent.mkdir(parents=True, exist_ok=True)
    airports.write_bytes((source / "airports.csv").read_bytes().replace(b"\r\n", b"\n"))


main()
