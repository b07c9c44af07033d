"""What Spark takes for the merges of bench: one line of JSON for each piece of work on stdin, one figure as JSON on stdout.

One JVM does everything, so that its code is compiled; its peak memory is counted anew for each piece of work. argv is the
jars of Delta Lake and a folder for what Spark leaves lying about.
"""

import json
import sys
import time

import pyspark.sql


def session(jars, folder):
    builder = pyspark.sql.SparkSession.builder.master("local[2]").appName("bench")
    settings = {
        "spark.jars": jars,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "4g",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.local.dir": f"{folder}/local",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


class Process:
    """What the JVM takes: its peak of resident memory, and processors."""

    def __init__(self, spark):
        self.handle = spark._jvm.java.lang.ProcessHandle.current()
        self.folder = f"/proc/{self.handle.pid()}"

    def cpu(self):
        return self.handle.info().totalCpuDuration().get().toMillis() / 1000

    def reset(self):
        with open(f"{self.folder}/clear_refs", "w") as f:
            f.write("5")

    def peak(self):
        with open(f"{self.folder}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) * 1024


def statement(work):
    case = work["case"]
    kinds = {"update": ("MATCHED", "UPDATE SET *"), "delete": ("MATCHED", "DELETE"), "insert": ("NOT MATCHED", "INSERT *")}
    sql = f"MERGE INTO delta.`{work['table']}` t USING parquet.`{case['source']}` s ON {case['on']}"
    for action in case["when"]:
        when, then = kinds[action["do"]]
        condition = f" AND {action['if']}" if action["if"] else ""
        sql += f" WHEN {when}{condition} THEN {then}"
    return sql


def main():
    jars, folder = sys.argv[1:]
    spark = session(jars, folder)
    process = Process(spark)
    for line in sys.stdin:
        work = json.loads(line)
        process.reset()
        began, worked = time.perf_counter(), process.cpu()
        if work["do"] == "merge":
            note = " ".join(f"{k} {v}" for k, v in spark.sql(statement(work)).collect()[0].asDict().items())
        else:
            spark.read.format("delta").load(work["table"]).createOrReplaceTempView("t")
            note = " ".join(str(v or 0) for v in spark.sql(work["sql"]).collect()[0])
        seconds = time.perf_counter() - began
        cpu = process.cpu() - worked
        print(json.dumps({"seconds": seconds, "cpu": cpu, "rss": process.peak(), "count": 0, "note": note}), flush=True)
    spark.stop()


main()
