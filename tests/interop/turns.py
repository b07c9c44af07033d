"""Writers take turns on one table: lakectl, Spark, delta-rs, DuckDB, and so on for more than twenty commits.

After each commit lakectl fsck --deep finds nothing, and every reader shows the same rows at the newest version.
"""
import subprocess

import canonical
import peers

ROWS = "id BIGINT, s STRING, ts TIMESTAMP, p STRING"


def spark_rows(first, count, p):
    return f"SELECT id + {first} AS id, concat('spark ', id) AS s, TIMESTAMP'2024-01-01T00:00:00.000001Z' AS ts, '{p}' AS p FROM range(0, {count}, 1, 1)"


def duck_rows(first, count, who, p):
    return f"SELECT range + {first} AS id, '{who} ' || range AS s, TIMESTAMPTZ '2024-01-01 00:00:00.000001Z' AS ts, '{p}' AS p FROM range({count})"


MATCHED = [{"when": "matched", "do": "update"}, {"when": "not matched", "do": "insert"}]

# (who, what): for the command line its arguments, for the others what their write takes.
TURNS = [
    ("command", ["create", "{t}", "--schema", ROWS.lower(), "--partition-by", "p"]),
    ("command", ["append", "{t}", duck_rows(0, 100, "ours", "a")]),
    ("Spark", f"INSERT INTO {{t}} {spark_rows(100, 100, 'c')}"),
    ("delta-rs", {"do": "append", "sql": duck_rows(200, 100, "rs", "a")}),
    ("lakectl", {"do": "delete", "where": "id % 10 = 1"}),
    ("Spark", "DELETE FROM {t} WHERE id % 10 = 2"),
    ("delta-rs", {"do": "delete", "where": "id % 10 = 3"}),
    ("lakectl", {"do": "merge", "sql": duck_rows(90, 20, "ours merge", "a"), "condition": "t.id = s.id", "clauses": MATCHED}),
    ("Spark", f"MERGE INTO {{t}} t USING ({spark_rows(190, 20, 'c')}) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"),
    ("delta-rs", {"do": "merge", "sql": duck_rows(290, 20, "rs merge", "e"), "condition": "t.id = s.id"}),
    ("DuckDB", {"sql": duck_rows(350, 20, "duck", "plain")}),
    ("lakectl", {"do": "optimize"}),
    ("Spark", "UPDATE {t} SET s = 'spark update' WHERE id BETWEEN 50 AND 60"),
    ("delta-rs", {"do": "append", "sql": duck_rows(400, 30, "rs", "c")}),
    ("lakectl", {"do": "overwrite", "where": "p = 'e'", "sql": duck_rows(500, 10, "ours", "e")}),
    ("Spark", "OPTIMIZE {t}"),
    ("DuckDB", {"sql": duck_rows(380, 5, "duck", "plain")}),
    ("delta-rs", {"do": "update", "where": "id BETWEEN 420 AND 425", "set": {"s": "'rs update'"}}),
    ("command", ["append", "{t}", duck_rows(600, 10, "ours", "")]),
    ("Spark", "RESTORE TABLE {t} TO VERSION AS OF 17"),
    ("delta-rs", {"do": "append", "sql": duck_rows(650, 10, "rs", "c")}),
    ("lakectl", {"do": "restore", "version": 18}),
    ("Spark", f"INSERT OVERWRITE {{t}} {spark_rows(700, 50, 'g')}"),
    ("delta-rs", {"do": "delete", "where": "id < 710"}),
    ("lakectl", {"do": "delete", "where": "id > 740"}),
]


def play(engines, binary, path, say):
    """Returns how many versions were equal for all readers; say is told of each problem."""
    equal = 0
    for turn, (who, what) in enumerate(TURNS):
        try:
            take(engines, binary, path, who, what)
        except peers.Refused as e:
            say(f"turn {turn}: {who} cannot: {e}")
            return equal
        version = peers.versions(path)[-1]
        if version != turn:
            say(f"turn {turn}, {who}: the newest version is {version}")
            return equal
        if look(engines, path, version, lambda text, turn=turn, who=who: say(f"turn {turn}, after {who}: {text}")):
            equal += 1
    return equal


def take(engines, binary, path, who, what):
    if who == "command":
        done = subprocess.run([binary, *(str(path) if a == "{t}" else a for a in what)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise peers.Refused(done.stdout + done.stderr)
    else:
        engines[who].write(path, what if who == "Spark" else [what])


def look(engines, path, version, say):
    if findings := engines["lakectl"].ask(path, do="fsck").get("findings"):
        say(f"fsck: {findings}")
        return False
    shown = engines["lakectl"].read(path, version)
    rows = canonical.rows_text(shown.rows, shown.tree)
    good = True
    for reader in engines.values():
        try:
            others = canonical.rows_text(reader.read(path, version).rows, shown.tree)
        except peers.Refused as e:
            others = [str(e)]
        if others != rows:
            say(f"{reader.name} shows {len(others)} rows, lakectl {len(rows)}: {sorted(set(others) ^ set(rows))[:3]}")
            good = False
    return good
