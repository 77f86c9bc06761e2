"""The manifest: what a place holds. Readers trust what it lists, and nothing else that lies there.

Invariant: the parts of a manifest do not overlap, and its files hold exactly their rows, each once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Iterable, Sequence

from .intervals import Range, iso
from .problems import Refused
from .schema import Column, evolved

NAME = "_manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class File:
    """One Parquet file."""

    path: str
    """Relative to the place."""
    part: str
    partition: dict[str, str | None]
    rows: int
    checksum: int
    bytes: int
    sha256: str
    min: dict[str, str | None]
    max: dict[str, str | None]


@dataclass(frozen=True)
class Part:
    """A range of at most a day, exported at once."""

    range: Range
    columns: list[str]
    """Those the table had then."""
    rows: int
    checksum: int
    run: int
    watermark: dict[str, Any] | None
    """What was known of later rows; none where somebody said that the range is closed."""

    @property
    def name(self) -> str:
        """By which files name their part."""
        return self.range.name


@dataclass(frozen=True)
class Manifest:
    """See the module."""

    table: str
    time_column: str
    partition_by: list[str]
    columns: list[Column]
    parts: list[Part] = field(default_factory=list)
    files: list[File] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Of all parts."""
        return sum(part.rows for part in self.parts)

    def files_of(self, part: Part) -> list[File]:
        """The files that hold the rows of a part."""
        return [file for file in self.files if file.part == part.name]

    def columns_of(self, part: Part) -> list[Column]:
        """The columns that the files of a part have."""
        return [column for column in self.columns if column.name in part.columns]


def checked(before: Manifest | None, now: Manifest) -> Manifest:
    """The manifest of the place with the columns of now; refused where both do not fit into one place."""
    if before is None:
        return now
    for what, old, new in (
        ("the table", before.table, now.table),
        ("the time column", before.time_column, now.time_column),
        ("the partitioning", ",".join(["day", *before.partition_by]), ",".join(["day", *now.partition_by])),
    ):
        if old != new:
            raise Refused(f"this place holds another export: {what} there is {old}, not {new}; export into another place")
    columns = evolved(before.columns, now.columns)
    return Manifest(before.table, before.time_column, before.partition_by, columns, before.parts, before.files)


def replaced(before: Manifest, parts: Sequence[Part], files: Sequence[File]) -> tuple[Manifest, list[str]]:
    """The manifest with these parts instead of those of the same ranges, and the files it does not list any more."""
    for part in parts:
        crossing = [old for old in before.parts if old.range != part.range and old.range.overlaps(part.range)]
        if crossing:
            raise Refused(f"part {part.name} overlaps {crossing[0].name}, which is there already")
    names = {part.name for part in parts}
    kept = [part for part in before.parts if part.name not in names]
    kept_files = [file for file in before.files if file.part not in names]
    listed = {file.path for file in files}
    gone = [file.path for file in before.files if file.part in names and file.path not in listed]
    after = Manifest(
        before.table,
        before.time_column,
        before.partition_by,
        before.columns,
        sorted([*kept, *parts], key=lambda part: part.range),
        sorted([*kept_files, *files], key=lambda file: file.path),
    )
    return after, gone


def summed(checksums: Iterable[int]) -> int:
    """The checksum of rows of which these are the checksums."""
    return sum(checksums)


def to_json(manifest: Manifest) -> str:
    """As it is written; numbers beyond 53 bits are texts, since few readers keep them."""
    return json.dumps(
        {
            "format": FORMAT,
            "table": manifest.table,
            "time_column": manifest.time_column,
            "partition_by": ["day", *manifest.partition_by],
            "rows": manifest.rows,
            "bytes": sum(file.bytes for file in manifest.files),
            "columns": [{"name": c.name, "postgres": c.type, "spark": c.spark} for c in manifest.columns],
            "parts": [
                {
                    "name": part.name,
                    "day": part.range.day,
                    "from": iso(part.range.from_us),
                    "to": iso(part.range.to_us),
                    "from_us": part.range.from_us,
                    "to_us": part.range.to_us,
                    "columns": part.columns,
                    "rows": part.rows,
                    "checksum": str(part.checksum),
                    "run": part.run,
                    "watermark": part.watermark,
                }
                for part in manifest.parts
            ],
            "files": [{**asdict(file), "checksum": str(file.checksum)} for file in manifest.files],
        },
        indent=1,
        ensure_ascii=False,
    )


def from_json(text: str) -> Manifest:
    """The manifest of a place; refused where it is none, or of a later version."""
    try:
        value = json.loads(text)
        known = value["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{NAME} of this place is no manifest ({error}); export into another place") from error
    if known != FORMAT:
        raise Refused(f"{NAME} of this place is of format {known}; this version reads format {FORMAT}")
    parts = [
        Part(
            Range(part["from_us"], part["to_us"]),
            part["columns"],
            part["rows"],
            int(part["checksum"]),
            part["run"],
            part["watermark"],
        )
        for part in value["parts"]
    ]
    files = [File(**{**file, "checksum": int(file["checksum"])}) for file in value["files"]]
    columns = [Column(column["name"], column["postgres"]) for column in value["columns"]]
    return Manifest(value["table"], value["time_column"], value["partition_by"][1:], columns, parts, files)
