"""Columns: what PostgreSQL calls them, what Spark and Parquet make of them, and how they may change between exports.

Values are exact. Times travel as microseconds since 1970, so that no calendar or time zone of a machine touches them; a
numeric that no decimal of 38 digits holds, JSON, and every type that Parquet does not have, travel as PostgreSQL writes
them. Every function here is pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

from .problems import Refused

DECIMAL_DIGITS_MAX = 38

_PLAIN: dict[str, str] = {
    "boolean": "boolean",
    "smallint": "smallint",
    "integer": "int",
    "bigint": "bigint",
    "real": "float",
    "double precision": "double",
    "date": "date",
    "bytea": "binary",
}


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    name: str
    type: str
    """As `format_type` says it, such as `numeric(38,18)`."""
    nullable: bool = True

    @property
    def spark(self) -> str:
        """The type in Spark, and so in Parquet."""
        if self.type in _PLAIN:
            return _PLAIN[self.type]
        if re.fullmatch(r"timestamp(\(\d\))? with time zone", self.type):
            return "timestamp"
        if re.fullmatch(r"timestamp(\(\d\))? without time zone", self.type):
            return "timestamp_ntz"
        if (decimal := _decimal(self.type)) is not None:
            return "decimal({},{})".format(*decimal)
        return "string"

    @property
    def quoted(self) -> str:
        """The name as PostgreSQL takes it, whatever it holds."""
        return '"' + self.name.replace('"', '""') + '"'

    @property
    def ticked(self) -> str:
        """The name as Spark takes it."""
        return "`" + self.name.replace("`", "``") + "`"

    @property
    def ordered(self) -> bool:
        """Whether its least and its greatest value are worth keeping: numbers and times."""
        return self.spark not in ("string", "binary", "boolean")


def _decimal(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", text)
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2])
    return (precision, scale) if precision <= DECIMAL_DIGITS_MAX and 0 <= scale <= precision else None


def selected(column: Column) -> str:
    """What PostgreSQL is asked for, under the column's name."""
    return f"{_sent(column)} AS {column.quoted}"


def _sent(column: Column) -> str:
    if column.spark in ("timestamp", "timestamp_ntz"):
        return f"(extract(epoch FROM {column.quoted}) * 1000000)::bigint"
    if column.spark == "date":
        return f"({column.quoted} - DATE '1970-01-01')"
    if column.spark == "string":
        return f"{column.quoted}::text"
    return column.quoted


def received(column: Column) -> str:
    """What Spark makes of what PostgreSQL sent, under the column's name."""
    name = column.ticked
    if column.spark == "timestamp":
        return f"timestamp_micros({name}) AS {name}"
    if column.spark == "timestamp_ntz":
        return f"CAST(timestamp_micros({name}) AS timestamp_ntz) AS {name}"
    if column.spark == "date":
        return f"date_from_unix_date({name}) AS {name}"
    return f"CAST({name} AS {column.spark}) AS {name}"


def struct(columns: Sequence[Column]) -> str:
    """The schema of files with these columns, as Spark's DDL."""
    return ", ".join(f"{column.ticked} {column.spark}" for column in columns)


def evolved(before: Sequence[Column], now: Sequence[Column]) -> list[Column]:
    """The columns of a place after an export of `now`: columns may be added; nothing else may change."""
    by_name = {column.name: column for column in now}
    for old in before:
        new = by_name.get(old.name)
        if new is None:
            raise Refused(
                f"column `{old.name}` was exported into this place before, and the table does not have it any more; "
                "export into another place"
            )
        if new.spark != old.spark:
            raise Refused(
                f"column `{old.name}` was {old.type} when it was exported into this place, and is {new.type} now; "
                "files of both types cannot be read together: export into another place"
            )
    known = {column.name for column in before}
    return [by_name[old.name] for old in before] + [column for column in now if column.name not in known]
