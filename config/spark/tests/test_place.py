"""The place: its layout, its manifest, and what is left of it when an export is killed at any step."""

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from aqueduct_spark import layout, manifest as manifests, order as orders, publishing
from aqueduct_spark.intervals import DAY_US, Range
from aqueduct_spark.manifest import Manifest
from aqueduct_spark.order import Order
from aqueduct_spark.problems import Refused
from aqueduct_spark.schema import Column
from aqueduct_spark.staging import Slice, Staging, Written
from aqueduct_spark.storage import Folder


def ordered(run: int = 1, **changes: Any) -> Order:
    """An order for one day."""
    value: dict[str, Any] = {
        "run": run, "database": "d@1", "schema": "m", "table": "t", "time_column": "ts", "time_zoned": True,
        "columns": [
            {"name": "ts", "type": "timestamp with time zone", "nullable": False},
            {"name": "k", "type": "text", "nullable": True},
        ],
        "partition_by": ["k"], "from_us": 0, "to_us": DAY_US, "spans": [[0, DAY_US, 10]], "into": "/x", "late": False,
        "parallel": 2, "slice_rows": 100, "watermark": None, "jdbc": {"url": "jdbc:postgresql://h/d"},
    }  # fmt: skip
    return orders.parse({**value, **changes})


class Killed(Exception):
    """Instead of a signal."""


class Mortal(Folder):
    """A folder whose user is killed after so many changes."""

    def __init__(self, path: Path, changes: int) -> None:
        super().__init__(path)
        self.left = changes

    def _change(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def replace(self, path: str, text: str) -> None:
        self._change()
        super().replace(path, text)

    def move(self, source: str, target: str) -> None:
        self._change()
        super().move(source, target)

    def remove(self, path: str) -> None:
        self._change()
        super().remove(path)


DAY = Range(0, DAY_US)
HALVES = [Slice(DAY, Range(0, DAY_US // 2)), Slice(DAY, Range(DAY_US // 2, DAY_US))]


def export(storage: Folder, order: Order, before: Manifest, rows: str) -> Manifest:
    """What `export.py` does, with rows of text instead of Spark."""
    staging = Staging(storage, order.run, "m.t of database d@1")
    prepared = staging.prepared()
    if prepared is None:
        work = staging.work()
        if work is None:
            work = HALVES
            staging.fix(work)
        written = []
        for one in work:
            files = staging.done(one)
            if files is None:
                path = f"{staging.folder}/rows/{one.range.slug}-x/part-0.parquet"
                storage.replace(path, rows)
                files = [Written(path, {"k": "a/b"}, 1, 2**62, len(rows), "s", {}, {})]
                staging.finish(one, files)
            written.append((one, files))
        prepared = publishing.plan(order, before, written)
        staging.prepare(prepared)
    publishing.publish(storage, staging, prepared)
    return manifests.from_json(prepared["manifest"])


def contents(path: Path) -> dict[str, str]:
    """What a reader who trusts the manifest reads; every file that it lists is there."""
    text = Folder(path).read(manifests.NAME)
    listed = [] if text is None else manifests.from_json(text).files
    return {file.path: (path / file.path).read_text() for file in listed}


class Place(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)

    def test_values_become_names_that_no_other_value_has(self) -> None:
        names = [layout.folder("2026-11-29", {"k": value}) for value in [None, "", "a/b", "a%2Fb", "..", "ü~", "x" * 300, "x" * 301]]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(names[2], "day=2026-11-29/k=a%2Fb")
        self.assertTrue(all(len(part) < 255 for name in names for part in name.split("/")))

    def test_what_no_export_wrote_is_refused_and_what_one_left_is_found(self) -> None:
        ours = layout.file("2026-11-29", {"k": "a/b"}, 7, Range(-16, 255).slug, 0)
        self.assertEqual(layout.leftovers([ours, "_lock", "_manifest.json", "_staging/x"], [], True), [ours])
        self.assertEqual(layout.leftovers([ours], [ours], True), [])
        for stranger, managed in [("a.csv", True), (ours, False), ("day=2026-11-29/k=1/part-0.parquet", True)]:
            with self.assertRaisesRegex(Refused, "no export wrote"):
                layout.leftovers([stranger], [], managed)

    def test_a_manifest_is_read_as_it_was_written(self) -> None:
        done = export(Folder(self.path), ordered(), ordered().manifest, "rows")
        self.assertEqual(manifests.from_json(manifests.to_json(done)), done)
        self.assertEqual((done.rows, done.parts[0].checksum), (2, 2**63))
        raw = json.loads((self.path / manifests.NAME).read_text())
        self.assertEqual((raw["partition_by"], raw["parts"][0]["name"]), (["day", "k"], "1970-01-01"))
        for text, said in [("{}", "no manifest"), ("[", "no manifest"), ('{"format": 9}', "format 9")]:
            with self.assertRaisesRegex(Refused, said):
                manifests.from_json(text)

    def test_a_place_takes_one_table_in_one_way(self) -> None:
        done = export(Folder(self.path), ordered(), ordered().manifest, "rows")
        for changes, said in [({"table": "u"}, "m.t, not m.u"), ({"partition_by": []}, "day,k, not day")]:
            with self.assertRaisesRegex(Refused, said):
                manifests.checked(done, ordered(**changes).manifest)
        parts = manifests.checked(done, ordered().manifest).parts
        with self.assertRaisesRegex(Refused, "overlaps"):
            crossing = manifests.Part(Range(5, DAY_US), [], 0, 0, 2, None)
            manifests.replaced(done, [*parts, crossing], [])

    def test_killed_at_any_step_and_resumed_there_is_one_copy_of_each_row(self) -> None:
        for changes in range(14):
            with tempfile.TemporaryDirectory() as name:
                path = Path(name)
                try:
                    export(Mortal(path, changes), ordered(), ordered().manifest, "new")
                    ended = True
                except Killed:
                    ended = False
                    self.assertIn(len(contents(path)), (0, 2), "a reader meets nothing or all")
                done = export(Folder(path), ordered(), ordered().manifest, "new")
                self.assertEqual(list(contents(path).values()), ["new", "new"])
                self.assertEqual(done.rows, 2)
                found = sorted(file for file in Folder(path).files() if file != manifests.NAME)
                self.assertEqual(found, sorted(contents(path)), "nothing else is left")
        self.assertTrue(ended, "the last one was not killed at all")

    def test_a_part_that_is_exported_again_takes_the_place_of_the_old_one(self) -> None:
        old = export(Folder(self.path), ordered(), ordered().manifest, "old")
        for changes in range(14):
            try:
                export(Mortal(self.path, changes), ordered(run=2), old, "new")
            except Killed:
                self.assertIn(set(contents(self.path).values()), ({"old"}, {"new"}))
        self.assertEqual(list(contents(self.path).values()), ["new", "new"])
        found = [file for file in Folder(self.path).files() if file.endswith(".parquet")]
        self.assertEqual(sorted(found), sorted(contents(self.path)))

    def test_an_unfinished_export_of_something_else_is_not_thrown_away(self) -> None:
        storage = Folder(self.path)
        Staging(storage, 1, "m.u of database d@1").fix(HALVES)
        with self.assertRaisesRegex(Refused, "unfinished export of m.u"):
            Staging(storage, 1, "m.t of database d@1").refuse_strangers()


if __name__ == "__main__":
    unittest.main()
