"""Rows as lines of JSON, as `aqueduct backfill --rows` reads them: times in UTC with microseconds, decimals as text.

Lines are in the order of time, then of their own text: the same files give the same bytes, however Spark divides the work.
What is JSON in the table stays as it is written. Every function here is pure.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Sequence

from . import intervals
from .intervals import Range
from .manifest import NAME, File, Manifest, Part
from .problems import Refused
from .schema import Column


@dataclass(frozen=True)
class Member:
    """A column that rows of the table are written with."""

    name: str
    json: bool
    """Whether its text is JSON itself."""
    nullable: bool


@dataclass(frozen=True)
class Wanted:
    """What the caller wants."""

    table: str
    time_column: str
    range: Range
    members: list[Member]
    into: str
    """The place of the export."""
    folder: str
    """Where the lines go, on the machine of the driver."""


def parse(value: dict[str, Any]) -> Wanted:
    """The order in a value of JSON."""
    return Wanted(
        table=value["table"],
        time_column=value["time_column"],
        range=Range(value["from_us"], value["to_us"]),
        members=[Member(one["name"], one["json"], one["nullable"]) for one in value["members"]],
        into=value["into"],
        folder=value["folder"],
    )


def parts(manifest: Manifest, wanted: Wanted) -> list[Part]:
    """The parts that hold the range; refused where the place does not hold these rows."""
    if manifest.table != wanted.table:
        raise Refused(f"{wanted.into} holds an export of {manifest.table}, not of {wanted.table}; name that one's place")
    if manifest.time_column != wanted.time_column:
        raise Refused(
            f"{wanted.into} was cut by `{manifest.time_column}`, and the range is one of `{wanted.time_column}`; fill by the "
            f"same: --time-column {manifest.time_column}"
        )
    found = [part for part in manifest.parts if part.range.overlaps(wanted.range)]
    gaps = intervals.missing(wanted.range, [part.range for part in found])
    if gaps:
        names = ", ".join(gap.name for gap in gaps)
        raise Refused(f"{wanted.into} does not hold the whole range: {names} was never exported; fill what {NAME} lists")
    for member in wanted.members:
        if not member.nullable and any(member.name not in part.columns for part in found):
            raise Refused(
                f"{wanted.into} has no column `{member.name}` for the range, which every row needs; make it optional in the "
                "topology, or add it by hand to lines for --rows"
            )
    return found


def left_out(manifest: Manifest, wanted: Wanted) -> list[str]:
    """Columns of the export that the topology does not write."""
    names = {member.name for member in wanted.members}
    return [column.name for column in manifest.columns if column.name not in names]


def key(wanted: Wanted, files: Sequence[File]) -> str:
    """A name for the lines of these files: the same for the same lines."""
    members = [[member.name, member.json] for member in wanted.members]
    facts = [wanted.table, wanted.time_column, wanted.range.slug, members, sorted(file.sha256 for file in files)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def within(column: Column, span: Range) -> str:
    """The condition that a row of the files lies in the range."""
    low, high = (f"timestamp_micros({us})" for us in (span.from_us, span.to_us))
    time = f"CAST({column.ticked} AS timestamp)"
    return f"{time} >= {low} AND {time} < {high}"


def line(columns: Sequence[Column], members: Sequence[Member]) -> str:
    """The line of a row, as Spark computes it; what is null has no member."""
    by_name = {column.name: column for column in columns}
    pieces = [
        f"CASE WHEN {by_name[member.name].ticked} IS NOT NULL THEN "
        f"concat({_literal(json.dumps(member.name, ensure_ascii=False) + ':')}, {_value(by_name[member.name], member)}) END"
        for member in members
        if member.name in by_name
    ]
    return f"concat('{{', concat_ws(',', {', '.join(pieces)}), '}}')"


def _value(column: Column, member: Member) -> str:
    name = column.ticked
    if member.json and column.spark == "string":
        # A line is a row; between the tokens of JSON any blank is as good.
        return f"translate({name}, '\\n\\r', '  ')"
    match column.spark:
        case "timestamp" | "timestamp_ntz":
            shown = f"date_format(CAST({name} AS timestamp), \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'\")"
        case "binary":
            shown = f"concat('\\\\x', lower(hex({name})))"
        case "boolean" | "smallint" | "int" | "bigint" | "float" | "double":
            shown = name
        case _:
            shown = f"CAST({name} AS string)"
    # Of {"v":..} what is between the colon and the brace.
    whole = f"to_json(named_struct('v', {shown}))"
    return f"substring({whole}, 6, length({whole}) - 6)"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
