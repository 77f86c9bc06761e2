"""Exports ranges of a table to Parquet: `spark-submit export.py ORDER`.

Ranges that the manifest of the place covers already are left alone; with `late`, those of them whose rows have changed in
the table since are exported again. One copy of each row is published, whatever dies meanwhile: see `staging` and `publishing`.
"""

from __future__ import annotations

import hashlib
import time

from aqueduct_spark import database, intervals, layout, manifest as manifests, order as orders, publishing, session
from aqueduct_spark import storage as storages
from aqueduct_spark import writing
from aqueduct_spark.manifest import Manifest, Part
from aqueduct_spark.order import Order
from aqueduct_spark.staging import Slice, Staging, Written
from aqueduct_spark.storage import Storage
from pyspark.sql import SparkSession


def main(path: str) -> int:
    """Exports what the order in that file asks for."""
    order = orders.read(path)
    spark = session.start(f"aqueduct export {order.schema}.{order.table}")
    storage = storages.of(spark, order.into)
    staging = Staging(storage, order.run, f"{order.schema}.{order.table} of database {order.database}")
    staging.refuse_strangers()
    prepared = staging.prepared()
    if prepared is None:
        before = survey(storage, order)
        staging.clear_others()
        work = staging.work()
        if work is None:
            work = planned(spark, order, before)
            if not work:
                storage.remove(layout.STAGING)
                tell_what_is_there(storage, order, before)
                return 0
            staging.fix(work)
        written = read_and_write(spark, order, storage, staging, work)
        prepared = publishing.plan(order, before, written)
        staging.prepare(prepared)
    session.tell("publishing", files=len(prepared["moves"]))
    publishing.publish(storage, staging, prepared)
    facts = {name: prepared[name] for name in ("rows", "files", "bytes", "parts")}
    session.tell("published", **facts, checksum=digest(prepared["manifest"]))
    return 0


def tell_what_is_there(storage: Storage, order: Order, before: Manifest) -> None:
    """Nothing is left to do: the place has it all, or this run has published it and was killed before it could say so."""
    mine = [part for part in before.parts if part.run == order.run]
    files = [file for part in mine for file in before.files_of(part)]
    session.tell(
        "published" if mine else "nothing",
        rows=sum(part.rows for part in mine),
        files=len(files),
        bytes=sum(file.bytes for file in files),
        parts=[part.name for part in mine],
        checksum=digest(storage.read(manifests.NAME) or ""),
    )


def digest(text: str) -> str:
    """SHA-256 of a manifest as it is written."""
    return hashlib.sha256(text.encode()).hexdigest()


def survey(storage: Storage, order: Order) -> Manifest:
    """What the place holds. What an interrupted export left there goes; what nobody knows is refused."""
    text = storage.read(manifests.NAME)
    before = None if text is None else manifests.from_json(text)
    after = manifests.checked(before, order.manifest)
    present = list(storage.files())
    managed = before is not None or any(path.startswith(f"{layout.STAGING}/") for path in present)
    listed = [] if before is None else [file.path for file in before.files]
    for path in layout.leftovers(present, listed, managed):
        storage.remove(path)
    return after


def planned(spark: SparkSession, order: Order, before: Manifest) -> list[Slice]:
    """What there is to do: ranges that are missing, and those that have changed where that is asked for."""
    assert order.range is not None, "invariant: an export has a range"
    parts = intervals.missing(order.range, [part.range for part in before.parts])
    if order.late:
        known = [part for part in before.parts if part.range.within(order.range)]
        stale = changed(spark, order, before, known)
        session.tell("late", looked_at=len(known), changed=[part.name for part in stale])
        parts = sorted([*parts, *(part.range for part in stale)])
    return [Slice(part, span) for part in parts for span in intervals.slices(part, order.spans, order.slice_rows)]


def changed(spark: SparkSession, order: Order, manifest: Manifest, parts: list[Part]) -> list[Part]:
    """The parts whose rows are not those of the table any more."""

    def differs(part: Part) -> bool:
        sums = database.sums(spark, order, manifest.columns_of(part), [], part.range)
        return sums.get((), (0, 0)) != (part.rows, part.checksum)

    verdicts = session.side_by_side(differs, parts, order.parallel)
    return [part for part, verdict in zip(parts, verdicts) if verdict]


def read_and_write(
    spark: SparkSession, order: Order, storage: Storage, staging: Staging, work: list[Slice]
) -> list[tuple[Slice, list[Written]]]:
    """Every slice, those that are done already from what they left."""
    finished: dict[Slice, list[Written]] = {}
    for one in work:
        files = staging.done(one)
        if files is not None:
            finished[one] = files
    rows = sum(file.rows for files in finished.values() for file in files)
    session.tell("slices", done=len(finished), of=len(work), rows=rows, resumed=len(finished))

    def carry_out(one: Slice) -> tuple[Slice, list[Written]]:
        return one, writing.write(spark, order, storage, staging, one)

    todo = [one for one in work if one not in finished]
    began = time.monotonic()
    for one, files in session.side_by_side(carry_out, todo, order.parallel):
        finished[one] = files
        rows += sum(file.rows for file in files)
        seconds = round(time.monotonic() - began, 1)
        session.tell("slices", done=len(finished), of=len(work), rows=rows, seconds=seconds, part=one.part.name)
    return [(one, finished[one]) for one in work]


if __name__ == "__main__":
    session.run(main)
