"""Ranges of time, half-open, in microseconds since 1970 UTC.

An export is cut into parts, none of which crosses a midnight; a part is read in slices, none of which is expected to have
more than so many rows. Every function here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Iterable, Sequence

DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, order=True)
class Range:
    """From the first microsecond to the last, which is not part of it."""

    from_us: int
    to_us: int

    @property
    def day(self) -> str:
        """The day on which it begins, as `2026-11-29`."""
        return (_EPOCH + timedelta(microseconds=self.from_us)).strftime("%Y-%m-%d")

    @property
    def name(self) -> str:
        """`2026-11-29` for a whole day; with its times for less."""
        if self.from_us % DAY_US == 0 and self.to_us - self.from_us == DAY_US:
            return self.day
        return f"{self.day}T{_clock(self.from_us)}-{_clock(self.to_us)}"

    @property
    def slug(self) -> str:
        """A name for files, the same for the same range."""
        return f"{self.from_us:x}-{self.to_us:x}".replace("--", "-m")

    def overlaps(self, other: Range) -> bool:
        """Whether a moment lies in both."""
        return self.from_us < other.to_us and other.from_us < self.to_us

    def within(self, other: Range) -> bool:
        """Whether all of it lies in the other."""
        return other.from_us <= self.from_us and self.to_us <= other.to_us


@dataclass(frozen=True)
class Span:
    """A range, and how many rows the planner expects in it."""

    range: Range
    rows: int


def iso(us: int) -> str:
    """`2026-11-29T08:00:00.000001Z`."""
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _clock(us: int) -> str:
    return (_EPOCH + timedelta(microseconds=us)).strftime("%H%M%S%f")


def days(whole: Range) -> list[Range]:
    """The range cut at every midnight."""
    cuts = range((whole.from_us // DAY_US + 1) * DAY_US, whole.to_us, DAY_US)
    edges = [whole.from_us, *cuts, whole.to_us]
    return [Range(begin, end) for begin, end in zip(edges, edges[1:]) if begin < end]


def missing(whole: Range, covered: Iterable[Range]) -> list[Range]:
    """What of the range is not covered yet, cut at every midnight."""
    gaps: list[Range] = []
    begin = whole.from_us
    for known in sorted(covered):
        if known.to_us <= begin or known.from_us >= whole.to_us:
            continue
        if known.from_us > begin:
            gaps.append(Range(begin, known.from_us))
        begin = max(begin, known.to_us)
    if begin < whole.to_us:
        gaps.append(Range(begin, whole.to_us))
    return [day for gap in gaps for day in days(gap)]


def slices(part: Range, spans: Sequence[Span], rows_max: int) -> list[Range]:
    """The part in slices of about `rows_max` rows at most: small neighbours are one, a large span is divided evenly."""
    found: list[Range] = []
    begin, held = part.from_us, 0
    for span in sorted(spans, key=lambda span: span.range):
        if not span.range.overlaps(part):
            continue
        low, high = max(span.range.from_us, part.from_us), min(span.range.to_us, part.to_us)
        if held + span.rows > rows_max and begin < low:
            found.append(Range(begin, low))
            begin, held = low, 0
        if span.rows > rows_max:
            pieces = min(-(-span.rows // rows_max), high - low)
            edges = [low + (high - low) * index // pieces for index in range(1, pieces)]
            for edge in edges:
                found.append(Range(begin, edge))
                begin = edge
            held = span.rows // pieces
        else:
            held += span.rows
    if begin < part.to_us:
        found.append(Range(begin, part.to_us))
    return found
