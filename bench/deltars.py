"""What delta-rs takes for the work of bench: argv is the work and its settings as JSON, stdout is one figure as JSON.

Every measurement is a process of its own, so that its peak memory is its own. `count` is what both sides must agree on.
"""

import json
import os
import re
import resource
import sys
import time

import pyarrow.parquet
from deltalake import DeltaTable, QueryBuilder


def options(settings):
    """How the object store is reached; the child inherits the variables of the S3 tools."""
    if not settings["store"].startswith("s3://"):
        return None
    return {
        "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
        "AWS_REGION": os.environ["AWS_REGION"],
        "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        "AWS_ALLOW_HTTP": "true",
        "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
    }


def url(settings):
    return settings["store"].removeprefix("file://") + "/" + settings["table"]


def opened(settings):
    return DeltaTable(url(settings), storage_options=options(settings))


class Watch:
    """Seconds by the clock, and of all processors, since it was made."""

    def __init__(self):
        self.began, self.used = time.perf_counter(), self.processors()

    @staticmethod
    def processors():
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def read(self):
        return {"seconds": time.perf_counter() - self.began, "cpu": self.processors() - self.used}


def open_table(settings):
    watch = Watch()
    table = opened(settings)
    return watch.read(), len(table.file_uris())


def open_plan(settings):
    """The files that a scan keeps, from the log on."""
    return plan(settings, Watch())


def plan(settings, watch=None):
    """The files that a scan keeps, as DataFusion plans it."""
    table = opened(settings)
    low, high = settings["low"], settings["high"]
    watch = watch or Watch()
    builder = QueryBuilder().register("t", table)
    rows = builder.execute(f"EXPLAIN SELECT name FROM t WHERE id >= {low} AND id <= {high}").read_all()
    taken = watch.read()
    text = " ".join(str(v) for v in rows.column("plan").to_pylist())
    return taken, len(set(re.findall(r"part-[0-9a-z.-]*\.parquet", text)))


def checkpoint(settings):
    table = opened(settings)
    watch = Watch()
    table.create_checkpoint()
    return watch.read(), len(table.file_uris())


def merge(settings):
    """A merge from a Parquet file. Without streaming, delta-rs leaves out files by the keys of the source."""
    case = settings["case"]
    watch = Watch()
    merger = DeltaTable(settings["table"]).merge(
        pyarrow.parquet.read_table(case["source"]), case["on"], source_alias="s", target_alias="t", streamed_exec=False
    )
    for action in case["when"]:
        condition = action["if"] or None
        if action["do"] == "update":
            merger = merger.when_matched_update_all(condition)
        elif action["do"] == "delete":
            merger = merger.when_matched_delete(condition)
        else:
            merger = merger.when_not_matched_insert_all(condition)
    done = merger.execute()
    taken = watch.read()
    note = ", ".join(f"{k} {v}" for k, v in done.items() if k.startswith("num_"))
    return taken, 0, note


def sums(settings):
    began = time.perf_counter()
    rows = QueryBuilder().register("t", DeltaTable(settings["table"])).execute(settings["sql"]).read_all()
    values = [column[0].as_py() or 0 for column in rows.columns]
    return time.perf_counter() - began, 0, " ".join(str(v) for v in values)


def main():
    work, settings = sys.argv[1], json.loads(sys.argv[2])
    works = {"open": open_table, "plan": plan, "openplan": open_plan, "checkpoint": checkpoint, "merge": merge, "sums": sums}
    taken, count, *note = works[work](settings)
    if not isinstance(taken, dict):
        taken = {"seconds": taken}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({**taken, "rss": peak, "count": count, "note": "".join(note)}))


main()
