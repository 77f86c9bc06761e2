"""Columns: exact types, and which changes one place takes."""

import unittest

from aqueduct_spark import fingerprint
from aqueduct_spark.problems import Refused, explain
from aqueduct_spark.schema import Column, evolved, received, selected


class Columns(unittest.TestCase):
    def test_types_are_exact_or_text(self) -> None:
        for postgres, spark in [
            ("numeric(38,18)", "decimal(38,18)"),
            ("numeric(39,2)", "string"),
            ("numeric(3,-2)", "string"),
            ("numeric", "string"),
            ("timestamp with time zone", "timestamp"),
            ("timestamp(3) with time zone", "timestamp"),
            ("timestamp without time zone", "timestamp_ntz"),
            ("jsonb", "string"),
            ("uuid", "string"),
            ("text[]", "string"),
            ("bytea", "binary"),
            ("real", "float"),
        ]:
            self.assertEqual(Column("c", postgres).spark, spark, postgres)

    def test_names_are_quoted_whatever_they_hold(self) -> None:
        column = Column('a"b`c', "jsonb")
        self.assertEqual(selected(column), '"a""b`c"::text AS "a""b`c"')
        self.assertEqual(received(column), 'CAST(`a"b``c` AS string) AS `a"b``c`')

    def test_a_column_may_come_and_nothing_else_may_change(self) -> None:
        before = [Column("a", "bigint"), Column("b", "text")]
        after = evolved(before, [Column("c", "date"), Column("b", "character varying(9)"), Column("a", "bigint")])
        self.assertEqual([column.name for column in after], ["a", "b", "c"])
        with self.assertRaisesRegex(Refused, "`a` was bigint .* and is numeric"):
            evolved(before, [Column("a", "numeric(10,2)"), Column("b", "text")])
        with self.assertRaisesRegex(Refused, "does not have it any more"):
            evolved(before, [Column("a", "bigint")])

    def test_every_type_has_its_text_in_both(self) -> None:
        types = ["boolean", "date", "real", "double precision", "bytea", "timestamp with time zone", "numeric(4,2)", "json"]
        for kind in types:
            column = Column("c", kind)
            self.assertIn('"c"', fingerprint.in_postgres([column]))
            self.assertIn("`c`", fingerprint.in_spark([column]))

    def test_a_failure_says_what_to_do(self) -> None:
        text = explain(OSError("long story\njava.io.IOException: No space left on device\n\tat x"))
        self.assertTrue(text.startswith("the destination is full; free some space"), text)
        self.assertIn("ValueError: odd", explain(ValueError("odd")))


if __name__ == "__main__":
    unittest.main()
