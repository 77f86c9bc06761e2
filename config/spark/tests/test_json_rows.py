"""Rows as lines of JSON: what is refused, what names them."""

import unittest
from dataclasses import replace

from aqueduct_spark import json_rows
from aqueduct_spark.intervals import DAY_US, Range
from aqueduct_spark.json_rows import Member, Wanted
from aqueduct_spark.manifest import File, Manifest, Part
from aqueduct_spark.problems import Refused
from aqueduct_spark.schema import Column

WANTED = Wanted("m.t", "ts", Range(5, DAY_US + 5), [Member("ts", False, False), Member("doc", True, True)], "/place", "/lines")


def part(begin: int, end: int, columns: list[str]) -> Part:
    return Part(Range(begin, end), columns, 1, 1, 1, None)


def manifest(*parts: Part) -> Manifest:
    columns = [Column("ts", "timestamp with time zone"), Column("doc", "jsonb"), Column("more", "text")]
    return Manifest("m.t", "ts", [], columns, list(parts))


def file(sha256: str) -> File:
    return File("f", "p", {}, 1, 1, 1, sha256, {}, {})


class Parts(unittest.TestCase):
    def test_those_that_hold_the_range_are_read(self) -> None:
        days = [part(day * DAY_US, (day + 1) * DAY_US, ["ts", "doc"]) for day in range(3)]
        self.assertEqual(json_rows.parts(manifest(*days), WANTED), days[:2])

    def test_what_the_place_does_not_hold_is_refused_and_named(self) -> None:
        first, second = part(0, DAY_US, ["ts"]), part(DAY_US, 2 * DAY_US, ["ts"])
        for place, wanted, said in [
            (manifest(first), WANTED, "1970-01-02T000000000000-000000000005 was never exported"),
            (manifest(first, second), replace(WANTED, table="m.other"), "holds an export of m.t, not of m.other"),
            (manifest(first, second), replace(WANTED, time_column="seen"), "--time-column ts"),
            (manifest(first, second), replace(WANTED, members=[Member("doc", True, False)]), "no column `doc`"),
        ]:
            with self.assertRaisesRegex(Refused, said):
                json_rows.parts(place, wanted)

    def test_what_the_topology_does_not_write_is_named(self) -> None:
        self.assertEqual(json_rows.left_out(manifest(), WANTED), ["more"])


class Lines(unittest.TestCase):
    def test_their_name_is_made_of_what_they_are_made_of(self) -> None:
        name = json_rows.key(WANTED, [file("a"), file("b")])
        self.assertEqual(json_rows.key(replace(WANTED, into="/moved"), [file("b"), file("a")]), name)
        for other in [replace(WANTED, range=Range(5, 6)), replace(WANTED, members=WANTED.members[:1])]:
            self.assertNotEqual(json_rows.key(other, [file("a"), file("b")]), name)
        self.assertNotEqual(json_rows.key(WANTED, [file("a"), file("c")]), name)

    def test_names_are_quoted_whatever_they_hold(self) -> None:
        column = Column("a\"b'c`d", "jsonb")
        line = json_rows.line([column], [Member(column.name, True, True)])
        self.assertIn("`a\"b'c``d` IS NOT NULL", line)
        self.assertIn("concat('\"a\\\\\"b\\'c`d\":', translate(", line)


if __name__ == "__main__":
    unittest.main()
