"""Ranges: parts never cross a midnight, slices tile their part, nothing is exported twice."""

import random
import unittest

from aqueduct_spark.intervals import DAY_US, Range, Span, days, iso, missing, slices


def tiles(whole: Range, parts: list[Range]) -> bool:
    """Whether the parts are the whole, each moment once."""
    edges = [whole.from_us, *(part.to_us for part in parts)]
    return edges[-1] == whole.to_us and [part.from_us for part in parts] == edges[:-1]


class Ranges(unittest.TestCase):
    def test_a_range_is_cut_at_every_midnight(self) -> None:
        whole = Range(-5, 2 * DAY_US)
        self.assertEqual(days(whole), [Range(-5, 0), Range(0, DAY_US), Range(DAY_US, 2 * DAY_US)])

    def test_names_tell_whole_days_from_less(self) -> None:
        self.assertEqual(Range(0, DAY_US).name, "1970-01-01")
        self.assertEqual(Range(1, DAY_US).name, "1970-01-01T000000000001-000000000000")
        self.assertEqual(iso(-1), "1969-12-31T23:59:59.999999Z")

    def test_what_is_covered_is_not_missing(self) -> None:
        whole = Range(0, 100)
        self.assertEqual(missing(whole, []), [whole])
        self.assertEqual(missing(whole, [Range(0, 100)]), [])
        self.assertEqual(missing(whole, [Range(40, 60), Range(-10, 10), Range(90, 300)]), [Range(10, 40), Range(60, 90)])

    def test_slices_tile_their_part_whatever_the_estimates(self) -> None:
        chance = random.Random(1)
        for _ in range(500):
            low = chance.randrange(-1000, 1000)
            part = Range(low, low + chance.randrange(1, 500))
            edges = sorted({part.from_us - 3, part.to_us + 7, *(chance.randrange(low, part.to_us) for _ in range(5))})
            spans = [Span(Range(a, b), chance.choice([0, 1, 40, 5000])) for a, b in zip(edges, edges[1:])]
            found = slices(part, spans, 100)
            self.assertTrue(tiles(part, found), (part, spans, found))

    def test_a_large_span_is_divided_and_small_ones_are_one(self) -> None:
        part = Range(0, 100)
        small = [Span(Range(0, 10), 10), Span(Range(10, 50), 10), Span(Range(50, 100), 10)]
        self.assertEqual(slices(part, small, 30), [part])
        self.assertEqual(len(slices(part, [Span(part, 95)], 30)), 4)
        self.assertEqual(slices(part, [], 30), [part], "a part that nobody has estimated is read all the same")


if __name__ == "__main__":
    unittest.main()
