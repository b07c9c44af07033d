"""The engines that read and write the tables of the interop run, each with the same two verbs.

read(path, version) returns what the engine shows of a version: Seen. write(path, steps) makes a table. changes(path,
since), where an engine has it, returns the change data feed from a version on.
"""
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import threading

import deltalake
import duckdb
import duckdb_extension_delta
import polars
import pyarrow
import pyspark.sql
from deltalake import DeltaTable, QueryBuilder, write_deltalake

import canonical


TIME_OF_COMMIT = "_commit_timestamp"  # the column of a change feed that no two tables share


@dataclasses.dataclass
class Seen:
    """A version as an engine shows it: its columns as a type tree, its rows as Python values."""

    tree: dict
    rows: list


class Refused(Exception):
    """What an engine says when it cannot."""


def versions(path):
    """The versions that have a commit, oldest first."""
    return sorted(int(p.stem) for p in (pathlib.Path(path) / "_delta_log").glob("*.json") if len(p.stem) == 20 and p.stem.isdigit())


class Peer:
    """What every engine has."""

    def close(self):
        """Nothing to end."""


class Ours(Peer):
    """lakectl through tests/interop/ours: one process, one line for each request."""

    name = "lakectl"

    def __init__(self, binary):
        self.lock = threading.Lock()
        self.process = subprocess.Popen([binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, path, **request):
        os.makedirs(path, exist_ok=True)
        with self.lock:
            self.process.stdin.write(json.dumps({"table": str(path), **request}) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if error := answer.get("error"):
            raise Refused(error)
        return answer

    def read(self, path, version):
        return self.seen(self.ask(path, do="read", version=version))

    def changes(self, path, since):
        return self.seen(self.ask(path, do="changes", version=since))

    def seen(self, answer):
        tree = json.loads(answer["schema"])
        shown = [sql_type(t) for t in answer["types"]]
        stored = [canonical.type_text(f["type"]) for f in tree["fields"]]
        if shown != stored:
            raise Refused(f"lakectl shows types {shown}, the schema has {stored}")
        return Seen(tree, answer.get("rows", []))

    def times(self, path):
        return {int(v): t for v, t in self.ask(path, do="times")["times"].items()}

    def write(self, path, steps):
        for step in steps:
            self.ask(path, **step)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def sql_type(text):
    """lakectl's SQL name of a type, spelled as the log spells it."""
    names = {"bigint": "long", "int": "integer", "smallint": "short", "tinyint": "byte"}
    out = ""
    for quoted, word, other in re.findall(r"`((?:[^`]|``)*)`|(\w+:?)|([^\w`])", text):
        if quoted:
            out += quoted.replace("``", "`")
        else:
            out += names.get(word, word) + other.strip()
    return out


class Spark(Peer):
    """Apache Spark with Delta Lake, one JVM for the whole run."""

    name = "Spark"

    def __init__(self, work, conf):
        builder = pyspark.sql.SparkSession.builder.master("local[2]").appName("interop")
        settings = {
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "1536m",
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC -XX:MaxMetaspaceSize=768m -Duser.timezone=UTC",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "OFF",
            "spark.default.parallelism": "2",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.warehouse.dir": f"{work}/spark-warehouse",
            "spark.local.dir": f"{work}/spark-local",
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.databricks.delta.snapshotPartitions": "1",
            # A hundred rows: planning and compiling would cost more than they save.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.sql.adaptive.enabled": "false",
            "spark.sql.leafNodeDefaultParallelism": "1",
            "spark.sql.files.maxPartitionBytes": "1g",
            "spark.sql.maxPlanStringLength": "2000",
        }
        for key, value in (settings | conf).items():
            builder = builder.config(key, value)
        self.session = builder.getOrCreate()

    def read(self, path, version):
        return self.seen(path, {"versionAsOf": version})

    def changes(self, path, since):
        return self.seen(path, {"readChangeFeed": "true", "startingVersion": since})

    def seen(self, path, options):
        try:
            frame = self.session.read.format("delta").options(**options).load(str(path)).drop(TIME_OF_COMMIT)
            return Seen(json.loads(frame.schema.json()), frame.collect())
        except Exception as e:
            raise Refused(first_line(e)) from e

    def write(self, path, script):
        """Statements with ; at the end of a line between them; {t} is the table."""
        session = self.session.newSession()  # what a script sets ends with it
        for statement in script.strip().removesuffix(";").split(";\n"):
            try:
                session.sql(statement.replace("{t}", f"delta.`{path}`")).collect()
            except Exception as e:
                raise Refused(f"{' '.join(statement.split())[:200]}: {first_line(e)}") from e

    def row_ids(self, path, version, key):
        """Row tracking as Spark sees it: the row id of each row, by the value of a column."""
        try:
            frame = self.session.read.format("delta").option("versionAsOf", version).load(str(path))
            return [tuple(r) for r in frame.selectExpr(key, "_metadata.row_id", "_metadata.row_commit_version").collect()]
        except Exception as e:
            raise Refused(first_line(e)) from e

    def times(self, path):
        """The time of each version in milliseconds, as time travel takes it."""
        try:
            rows = self.session.sql(f"DESCRIBE HISTORY delta.`{path}`").select("version", "timestamp").collect()
        except Exception as e:
            raise Refused(first_line(e)) from e
        return {r.version: canonical.microseconds(r.timestamp) // 1000 for r in rows}

    def cpu_seconds(self):
        """What the JVM has worked so far."""
        return self.session._jvm.java.lang.ProcessHandle.current().info().totalCpuDuration().get().toMillis() / 1000

    def close(self):
        self.session.stop()


class DeltaRs(Peer):
    """delta-rs; it reads through DataFusion, which honours deletion vectors."""

    name = "delta-rs"

    def read(self, path, version):
        try:
            table = DeltaTable(str(path), version=version)
            rows = pyarrow.table(QueryBuilder().register("t", table).execute("SELECT * FROM t").read_all())
        except BaseException as e:  # a panic of Rust is no Exception
            raise Refused(first_line(e)) from e
        return arrow_seen(rows)

    def changes(self, path, since):
        try:
            rows = pyarrow.table(DeltaTable(str(path)).load_cdf(starting_version=since).read_all())
        except BaseException as e:
            raise Refused(first_line(e)) from e
        rows = rows.drop_columns([TIME_OF_COMMIT])
        version = rows.schema.get_field_index("_commit_version")  # without a sign, where the others have a long
        return arrow_seen(rows.set_column(version, "_commit_version", rows.column(version).cast(pyarrow.int64())))

    def write(self, path, steps):
        for step in steps:
            try:
                getattr(self, step["do"])(str(path), step)
            except BaseException as e:
                raise Refused(f"{step['do']}: {first_line(e)}") from e

    def append(self, path, step):
        write_deltalake(
            path, rows_of(step["sql"]), mode=step.get("mode", "append"), partition_by=step.get("partition_by"),
            configuration=step.get("properties"), schema_mode=step.get("schema_mode"), predicate=step.get("predicate"),
        )

    def create(self, path, step):
        schema = deltalake.Schema.from_json(json.dumps({"type": "struct", "fields": step["schema"]}))
        DeltaTable.create(path, schema, configuration=step.get("properties"))

    def delete(self, path, step):
        DeltaTable(path).delete(step.get("where"))

    def update(self, path, step):
        DeltaTable(path).update(updates=step["set"], predicate=step.get("where"))

    def merge(self, path, step):
        merge = DeltaTable(path).merge(rows_of(step["sql"]), predicate=step["condition"], source_alias="s", target_alias="t")
        merge.when_matched_update_all().when_not_matched_insert_all().execute()

    def optimize(self, path, step):
        DeltaTable(path).optimize.compact()

    def zorder(self, path, step):
        DeltaTable(path).optimize.z_order(step["columns"])

    def checkpoint(self, path, step):
        DeltaTable(path).create_checkpoint()

    def restore(self, path, step):
        DeltaTable(path).restore(step["version"])

    def constraint(self, path, step):
        DeltaTable(path).alter.add_constraint(step["constraints"])


class Polars(Peer):
    """Polars: the log through delta-rs, the files through its own reader."""

    name = "Polars"

    def read(self, path, version):
        try:
            rows = polars.scan_delta(str(path), version=version).collect().to_arrow()
        except BaseException as e:
            raise Refused(first_line(e)) from e
        return arrow_seen(rows)


class DuckDB(Peer):
    """DuckDB with its delta extension, which stands on delta-kernel-rs."""

    name = "DuckDB"

    def __init__(self):
        folder = pathlib.Path(duckdb_extension_delta.__file__).parent / "extensions"
        self.db = duckdb.connect(config={"allow_unsigned_extensions": "true", "autoinstall_known_extensions": "false"})
        self.db.execute(f"LOAD '{next(folder.glob('*/delta.duckdb_extension'))}'")
        self.db.execute("SET TimeZone = 'UTC'")

    def read(self, path, version):
        try:
            rows = self.db.execute(f"SELECT * FROM delta_scan('{path}', version = {version})").to_arrow_table()
        except Exception as e:
            raise Refused(first_line(e)) from e
        return arrow_seen(rows)

    def write(self, path, steps):
        """It appends to tables that exist, and no more."""
        for step in steps:
            try:
                self.db.execute(f"ATTACH '{path}' AS target (TYPE delta)")
                try:
                    self.db.execute(f"INSERT INTO target {step['sql']}")
                finally:
                    self.db.execute("DETACH target")
            except Exception as e:
                raise Refused(first_line(e)) from e


def rows_of(sql):
    """The rows of a SELECT in DuckDB's words, for writers that take Arrow."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    return db.execute(sql).to_arrow_table()


def arrow_seen(rows):
    tree = canonical.struct_tree([(f.name, canonical.arrow_tree(f.type)) for f in rows.schema])
    return Seen(tree, list(canonical.arrow_rows(rows)))


def first_line(e):
    """The first line of an error; of an error of Java the second, too, which says what happened."""
    lines = str(e).strip().splitlines() or [type(e).__name__]
    return " ".join(lines[: 2 if lines[0].startswith("An error occurred while calling") else 1])[:600]
