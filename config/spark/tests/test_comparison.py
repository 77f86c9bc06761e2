"""What verification says, and what the database is asked."""

import unittest

from aqueduct_spark import database
from aqueduct_spark.comparison import differences
from aqueduct_spark.intervals import Range

from .test_place import ordered


class Comparison(unittest.TestCase):
    def test_every_partition_that_differs_is_named(self) -> None:
        table = {("a",): (2, 7), ("b",): (1, 1), (None,): (3, 3)}
        files = {("a",): (2, 7), ("b",): (1, 2), ("c",): (4, 4)}
        found = differences("2026-11-29", ["k"], table, files)
        said = {one["partition"]["k"]: (one["table"], one["files"], one["what"]) for one in found}
        self.assertEqual(
            said,
            {
                "b": (1, 1, "as many rows, but not the same"),
                "c": (0, 4, "rows differ in number"),
                None: (3, 0, "rows differ in number"),
            },
        )
        self.assertEqual(differences("d", [], {(): (1, 1)}, {(): (1, 1)}), [])

    def test_values_never_reach_a_query_but_as_times(self) -> None:
        order = ordered(schema='m"x', time_column='t"s')
        query = database.rows_query(order, Range(0, 1))
        self.assertIn('FROM "m""x"."t"', query)
        self.assertIn("\"t\"\"s\" < TIMESTAMPTZ '1970-01-01T00:00:00.000001+00'", query)
        self.assertIn("GROUP BY 1", database.sums_query(order, order.columns, order.columns[1:], Range(0, 1)))


if __name__ == "__main__":
    unittest.main()
