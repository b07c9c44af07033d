"""Fetch the jars of Delta Lake into a folder, once, through Spark's own resolver: jars.py FOLDER."""
import importlib.metadata
import sys

import pyspark.sql

spark = ".".join(pyspark.__version__.split(".")[:2])
version = importlib.metadata.version("delta-spark")
builder = pyspark.sql.SparkSession.builder.master("local[1]").config("spark.jars.ivy", sys.argv[1])
for key, value in {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.jars.packages": f"io.delta:delta-spark_{spark}_2.13:{version}",
}.items():
    builder = builder.config(key, value)
builder.getOrCreate().stop()
