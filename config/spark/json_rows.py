"""Turns exported rows of a range into lines of JSON: `spark-submit json_rows.py ORDER`.

Only files that the manifest lists are read, and only if they are what was written. The lines lie under a name made of what they
are made of: whole ones are used again, and what a killed run left is made anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from aqueduct_spark import integrity, json_rows, manifest as manifests, schema, session, storage as storages
from aqueduct_spark.json_rows import Wanted
from aqueduct_spark.manifest import File, Manifest
from aqueduct_spark.problems import Refused
from aqueduct_spark.storage import Storage
from pyspark.sql import DataFrame, SparkSession

SHOWN_MAX = 5
FULL = "No space left on device"


def main(path: str) -> int:
    """Writes the lines that the order in that file asks for."""
    wanted = json_rows.parse(json.loads(Path(path).read_text(encoding="utf-8")))
    spark = session.start(f"aqueduct backfill {wanted.table}")
    storage = storages.of(spark, wanted.into)
    text = storage.read(manifests.NAME)
    if text is None:
        raise Refused(f"{wanted.into} has no {manifests.NAME}: nothing was exported into it; name the place of an export")
    manifest = manifests.from_json(text)
    files = [file for part in json_rows.parts(manifest, wanted) for file in manifest.files_of(part)]
    refuse_wrong(spark, storage, wanted, files)
    target = Path(wanted.folder) / f"rows-{json_rows.key(wanted, files)}.jsonl"
    reused = target.exists()
    if not reused:
        write(target, lines(spark, storage, manifest, wanted, files))
    session.tell("written", path=str(target), reused=reused, left_out=json_rows.left_out(manifest, wanted))
    return 0


def refuse_wrong(spark: SparkSession, storage: Storage, wanted: Wanted, files: list[File]) -> None:
    """Refused where a file is missing, or differs."""
    wrong = integrity.wrong_files(spark, storage, files)
    if wrong:
        named = "; ".join(f"{one['file']}: {one['what']}" for one in wrong[:SHOWN_MAX])
        more = f"; and {len(wrong) - SHOWN_MAX} more" if len(wrong) > SHOWN_MAX else ""
        raise Refused(f"{wanted.into} is not what was exported: {named}{more}; bring these files back, or export again")


def lines(
    spark: SparkSession, storage: Storage, manifest: Manifest, wanted: Wanted, files: list[File]
) -> DataFrame | None:
    """The rows of the range, in their order; none where the export found none."""
    if not files:
        return None
    time = next(column for column in manifest.columns if column.name == manifest.time_column)
    read = spark.read.schema(schema.struct(manifest.columns)).parquet(*(storage.uri(file.path) for file in files))
    rows = read.where(json_rows.within(time, wanted.range))
    rows = rows.selectExpr(f"{time.ticked} AS _time", f"{json_rows.line(manifest.columns, wanted.members)} AS _line")
    return rows.orderBy("_time", "_line").select("_line")


def write(target: Path, rows: DataFrame | None) -> None:
    """Under its name it is whole."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with open(partial, "w", encoding="utf-8", newline="\n") as file:
            for row in rows.toLocalIterator() if rows is not None else ():
                file.write(row[0] + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as error:
        raise Refused(
            f"cannot write {target}: {error.strerror}; free space there, or name a larger folder in TMPDIR, and run the same "
            "command again"
        ) from error
    except Exception as failure:
        # Spark puts rows in order on a disk of its own.
        if FULL not in str(failure):
            raise
        raise Refused(
            "Spark's own disk is full; free space in its spark.local.dir, or name a larger one with --conf "
            "spark.local.dir=FOLDER, and run the same command again"
        ) from failure
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    session.run(main)
