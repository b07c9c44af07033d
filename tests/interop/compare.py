"""Compare what delta-rs and lakectl see in every table of a project, then let delta-rs append to one.

    compare.py LAKECTL PROJECT      # PROJECT holds lake.yml and the warehouse in lake/

Rows are compared as multisets, value by value, in both directions. delta-rs reads through DataFusion (QueryBuilder),
which honours deletion vectors; its pyarrow reader refuses tables that have them.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import duckdb
import pyarrow
from deltalake import DeltaTable, QueryBuilder, write_deltalake

LAKECTL, PROJECT = sys.argv[1], pathlib.Path(sys.argv[2])
WAREHOUSE = PROJECT / "lake"
EXPECTED = {  # examples/flights/README.md, "The numbers"
    "bronze.airports": 3_376,
    "bronze.flights": 229_681,
    "bronze.flights__quarantine": 1,
    "gold.daily_delay": 3_114,
    "gold.route_ranking": 3_267,
    "silver.flights": 229_669,
    "silver.flights__quarantine": 2,
}


def lakectl(*args):
    done = subprocess.run([LAKECTL, *args], cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"lakectl {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def theirs(path):
    """All rows, read by delta-rs. Strings as plain strings: DuckDB knows no string views of Arrow."""
    table = DeltaTable(str(path))
    rows = pyarrow.table(QueryBuilder().register("t", table).execute("SELECT * FROM t").read_all())
    plain = pyarrow.schema([f.with_type(plain_type(f.type)) for f in rows.schema])
    return table, rows.cast(plain)


def plain_type(t):
    if pyarrow.types.is_string_view(t):
        return pyarrow.string()
    if pyarrow.types.is_binary_view(t):
        return pyarrow.binary()
    if pyarrow.types.is_list(t) or pyarrow.types.is_large_list(t):
        return pyarrow.list_(t.value_field.with_type(plain_type(t.value_type)))
    if pyarrow.types.is_dictionary(t):
        return plain_type(t.value_type)
    return t


def compare(db, name):
    path = WAREHOUSE / name.replace(".", "/")
    table, rows = theirs(path)
    db.execute("SET TimeZone = 'UTC'")
    db.register("theirs", rows)
    types = {c[0]: c[1] for c in db.execute("DESCRIBE theirs").fetchall()}
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as out:
        out.write(lakectl("query", "--output", "ndjson", f"SELECT * FROM {name}"))
        out.flush()
        columns = "{" + ", ".join(f"{quoted(c, chr(39))}: '{t}'" for c, t in types.items()) + "}"
        db.execute(
            f"CREATE OR REPLACE TABLE ours AS SELECT * FROM read_json('{out.name}', format = 'newline_delimited', columns = {columns})"
        )
    ours, others = (db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("ours", "theirs"))
    only_ours = db.execute("SELECT * FROM ours EXCEPT ALL SELECT * FROM theirs LIMIT 3").fetchall()
    only_theirs = db.execute("SELECT * FROM theirs EXCEPT ALL SELECT * FROM ours LIMIT 3").fetchall()
    db.unregister("theirs")
    protocol = table.protocol()
    features = ",".join(sorted(set(protocol.reader_features or []) | set(protocol.writer_features or [])))
    print(f"{name:28} {others:>8,} rows   version {table.version():<3} protocol {protocol.min_reader_version},{protocol.min_writer_version} {features}")
    if ours != others or only_ours or only_theirs:
        sys.exit(f"{name}: we see {ours} rows, delta-rs {others}\nonly we:       {only_ours}\nonly delta-rs: {only_theirs}")
    if name in EXPECTED and others != EXPECTED[name]:
        sys.exit(f"{name}: {others} rows, the README says {EXPECTED[name]}")
    return others


def quoted(text, mark):
    return mark + text.replace(mark, mark + mark) + mark


def append(db):
    """delta-rs appends rows; we read them, verify the table, and commit on top of them."""
    name = "bronze.airports"
    path = WAREHOUSE / name.replace(".", "/")
    table, rows = theirs(path)
    before = table.version()
    new = rows.slice(0, 3)
    new = new.set_column(new.schema.get_field_index("iata"), "iata", pyarrow.array(["ZZ1", "ZZ2", "ZZ3"]))
    write_deltalake(str(path), new, mode="append")
    seen = int(json.loads(lakectl("query", "--output", "json", f"SELECT count(*) AS n FROM {name} WHERE iata IN ('ZZ1', 'ZZ2', 'ZZ3')"))[0]["n"])
    if seen != 3:
        sys.exit(f"{name}: of 3 rows that delta-rs appended we see {seen}")
    EXPECTED[name] = 3_379
    compare(db, name)
    lakectl("fsck", name)
    newest = json.loads(lakectl("history", "--output", "json", "--limit", "1", name))
    print(f"delta-rs appended 3 rows: version {before} → {newest[0]['version']}, {newest[0]['operation']}")
    lakectl("optimize", name)
    compare(db, name)
    lakectl("fsck", name)


def deletion_vectors(db):
    """A merge that changes rows leaves deletion vectors; delta-rs must leave out what we leave out."""
    name = "bronze.airports"
    lakectl(
        "merge", name, "--source", f"SELECT iata, upper(name) AS name FROM {name} WHERE state = 'TX'",
        "--on", "t.iata = s.iata", "--when-matched-update", "name = s.name",
    )
    table = DeltaTable(str(WAREHOUSE / name.replace(".", "/")))
    if pyarrow.table(table.deletion_vectors()).num_rows == 0:
        sys.exit(f"{name}: the merge left no deletion vector, so nothing was tested")
    compare(db, name)
    lakectl("fsck", name)


def only_checkpoint(path, folder):
    """A copy of a table whose log begins with its newest checkpoint: what a reader sees after log clean-up."""
    copy = pathlib.Path(folder) / "copy"
    shutil.copytree(path, copy)
    log = copy / "_delta_log"
    checkpoints = sorted(log.glob("*.checkpoint*.parquet"))
    if not checkpoints:
        sys.exit(f"{path} has no checkpoint, so nothing was tested")
    for commit in log.glob("*.json"):
        if commit.name[:20].isdigit() and commit.name[:20] <= checkpoints[-1].name[:20]:
            commit.unlink()
    return copy


def checkpoints(db):
    """Each reads a table from the other's checkpoint, without the commits that it stands for."""
    for name, theirs_writes in (("gold.route_ranking", False), ("bronze.airports", True)):
        path = WAREHOUSE / name.replace(".", "/")
        if theirs_writes:
            DeltaTable(str(path)).create_checkpoint()
        else:
            for _ in range(10):  # checkpoint_every
                lakectl("run", "flights", "--select", name)
        with tempfile.TemporaryDirectory() as folder:
            copy = only_checkpoint(path, folder)
            ours = int(json.loads(lakectl("query", "--output", "json", f"SELECT count(*) AS n FROM '{copy}'"))[0]["n"])
            others = theirs(copy)[1].num_rows
            lakectl("fsck", str(copy))
        if not ours == others == EXPECTED[name]:
            sys.exit(f"{name} from a checkpoint: we see {ours} rows, delta-rs {others}")
        print(f"{name}: both read it from a checkpoint of {'delta-rs' if theirs_writes else 'lakectl'}")


def main():
    tables = sorted(".".join(p.parent.relative_to(WAREHOUSE).parts) for p in WAREHOUSE.glob("*/*/_delta_log"))
    if missing := set(EXPECTED) - set(tables):
        sys.exit(f"tables are missing: {sorted(missing)}")
    db = duckdb.connect()
    for name in tables:
        compare(db, name)
    deletion_vectors(db)
    append(db)
    checkpoints(db)
    print(f"delta-rs and lakectl agree on {len(tables)} tables")


main()
# Threads of the libraries may abort the interpreter on its way out; what was to be said has been said.
sys.stdout.flush()
os._exit(0)
