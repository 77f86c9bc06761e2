"""Compares what was exported with the table: `spark-submit verify.py ORDER`.

Of every part: its files are there with the bytes that the manifest says; and for every partition the rows of the files are
as many as those of the table, with the same checksum, which does not depend on their order. A range that was asked for and
never exported is a difference too.
"""

from __future__ import annotations

from typing import Any

from aqueduct_spark import database, fingerprint, intervals, manifest as manifests, order as orders, session
from aqueduct_spark import schema, storage as storages
from aqueduct_spark.comparison import Sums, differences
from aqueduct_spark.integrity import wrong_files
from aqueduct_spark.manifest import Manifest, Part
from aqueduct_spark.order import Order
from aqueduct_spark.problems import Refused
from aqueduct_spark.schema import Column
from aqueduct_spark.storage import Storage
from pyspark.sql import SparkSession, functions as F

SHOWN_MAX = 100


def main(path: str) -> int:
    """Verifies what the order in that file asks for; 2 where something differs."""
    order = orders.read(path)
    spark = session.start(f"aqueduct export verify {order.schema}.{order.table}")
    storage = storages.of(spark, order.into)
    text = storage.read(manifests.NAME)
    if text is None:
        raise Refused(f"{order.into} has no {manifests.NAME}: nothing was exported into it")
    manifest = manifests.from_json(text)
    if manifest.table != order.manifest.table:
        raise Refused(f"{order.into} holds an export of {manifest.table}, not of {order.manifest.table}")
    parts = [part for part in manifest.parts if order.range is None or part.range.overlaps(order.range)]
    found: list[dict[str, Any]] = []
    if order.range is not None:
        gaps = intervals.missing(order.range, [part.range for part in parts])
        found += [{"part": gap.name, "what": "this range was never exported"} for gap in gaps]
    found += wrong_files(spark, storage, [file for part in parts for file in manifest.files_of(part)])
    broken = {one["file"] for one in found if "file" in one}
    rows = 0
    compared = session.side_by_side(
        lambda part: compare(spark, order, storage, manifest, part, broken), parts, order.parallel
    )
    for done, (counted, differences) in enumerate(compared, start=1):
        rows += counted
        found += differences
        session.tell("verifying", done=done, of=len(parts), rows=rows, differences=len(found))
    session.tell("verified", parts=len(parts), rows=rows, different=len(found), differences=found[:SHOWN_MAX])
    return 2 if found else 0


def compare(
    spark: SparkSession, order: Order, storage: Storage, manifest: Manifest, part: Part, broken: set[str]
) -> tuple[int, list[dict[str, Any]]]:
    """The rows of a part's files, and where they differ from the table's."""
    columns = manifest.columns_of(part)
    by = [column for name in manifest.partition_by for column in columns if column.name == name]
    in_table = database.sums(spark, order, columns, by, part.range)
    readable = [storage.uri(file.path) for file in manifest.files_of(part) if file.path not in broken]
    in_files = of_files(spark, columns, by, readable) if readable else {}
    return sum(rows for rows, _ in in_files.values()), differences(part.name, manifest.partition_by, in_table, in_files)


def of_files(spark: SparkSession, columns: list[Column], by: list[Column], paths: list[str]) -> Sums:
    """Count and checksum by partition, from the rows and not from the folders' names."""
    keys = [f"{fingerprint.text_in_spark(column)} AS _p{index}" for index, column in enumerate(by)]
    read = spark.read.schema(schema.struct(columns)).parquet(*paths)
    rows = read.selectExpr(*keys, f"{fingerprint.in_spark(columns)} AS _hash")
    sums = rows.groupBy(*(f"_p{index}" for index in range(len(by)))).agg(F.count(F.lit(1)), F.sum("_hash")).collect()
    return {tuple(row[: len(by)]): (row[len(by)], int(row[len(by) + 1])) for row in sums}


if __name__ == "__main__":
    session.run(main)
