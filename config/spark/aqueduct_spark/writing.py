"""Writes one slice, and reads it back: what a manifest says of a file is what the file holds."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import unquote

from . import database, fingerprint, schema
from .order import Order
from .schema import Column
from .staging import Slice, Staging, Written
from .storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FILE_ROWS_MAX = 1_000_000


def write(spark: SparkSession, order: Order, storage: Storage, staging: Staging, one: Slice) -> list[Written]:
    """Every attempt has a folder of its own: nothing that a dead one left, or a late one still writes, is looked at."""
    folder = f"{staging.folder}/rows/{one.range.slug}-{secrets.token_hex(4)}"
    by = [column for name in order.partition_by for column in order.columns if column.name == name]
    rows = database.rows(spark, order, one.range)
    writer_columns = [f"{_level(column)} AS _p{index}" for index, column in enumerate(by)]
    writer = rows.selectExpr("*", *writer_columns).write.option("maxRecordsPerFile", FILE_ROWS_MAX)
    writer.partitionBy(*(f"_p{index}" for index in range(len(by)))).parquet(storage.uri(folder))
    files = described(spark, order.columns, by, order.columns, storage.uri(folder), folder)
    staging.finish(one, files)
    return files


def _level(column: Column) -> str:
    """A folder's name in staging; Spark would give null and the empty text one and the same."""
    return f"coalesce(concat('=', {fingerprint.text_in_spark(column)}), '-')"


def described(
    spark: SparkSession, columns: list[Column], by: list[Column], hashed: list[Column], uri: str, folder: str
) -> list[Written]:
    """Every file below a folder that has rows."""
    read = spark.read.schema(schema.struct(columns)).option("recursiveFileLookup", "true").parquet(uri)
    ordered = [column for column in columns if column.ordered]
    keys = [f"{fingerprint.text_in_spark(column)} AS _p{index}" for index, column in enumerate(by)]
    values = [column.ticked for column in ordered]
    rows = read.selectExpr("_metadata.file_path AS _file", f"{fingerprint.in_spark(hashed)} AS _hash", *keys, *values)
    found = rows.groupBy("_file").agg(*_sums(ordered, by)).collect()
    digests = _digests(spark, uri, folder)
    return [
        Written(
            path=path,
            partition={column.name: row[f"_p{index}"] for index, column in enumerate(by)},
            rows=row["_rows"],
            checksum=int(row["_sum"]),
            bytes=digests[path][0],
            sha256=digests[path][1],
            min={column.name: row[f"_min{index}"] for index, column in enumerate(ordered)},
            max={column.name: row[f"_max{index}"] for index, column in enumerate(ordered)},
        )
        for row in sorted(found, key=lambda row: row["_file"])
        for path in [_below(unquote(row["_file"]), folder)]
    ]


def _sums(ordered: list[Column], by: list[Column]) -> list:  # type: ignore[type-arg]
    from pyspark.sql import functions as F

    sums = [F.count(F.lit(1)).alias("_rows"), F.sum("_hash").alias("_sum")]
    sums += [F.first(f"_p{index}").alias(f"_p{index}") for index in range(len(by))]
    for index, column in enumerate(ordered):
        sums.append(F.expr(f"CAST(min({column.ticked}) AS string)").alias(f"_min{index}"))
        sums.append(F.expr(f"CAST(max({column.ticked}) AS string)").alias(f"_max{index}"))
    return sums


def _digests(spark: SparkSession, uri: str, folder: str) -> dict[str, tuple[int, str]]:
    files: DataFrame = (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", "true")
        .option("pathGlobFilter", "*.parquet")
        .load(uri)
        .selectExpr("path", "length", "sha2(content, 256) AS sha256")
    )
    return {_below(row["path"], folder): (row["length"], row["sha256"]) for row in files.collect()}


def _below(path: str, folder: str) -> str:
    """The path from the place on: Spark and Hadoop write what comes before it in more than one way."""
    return folder + path.rsplit(folder, 1)[1]
