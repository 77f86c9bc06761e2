"""What the caller wants: read from the file it hands in. The database's password comes by the environment alone."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .intervals import Range, Span
from .manifest import Manifest
from .schema import Column

PASSWORD_VARIABLE = "AQUEDUCT_EXPORT_PASSWORD"


@dataclass(frozen=True)
class Order:
    """See the module."""

    run: int
    database: str
    """Which database this is, whatever its address."""
    schema: str
    table: str
    time_column: str
    time_zoned: bool
    columns: list[Column]
    partition_by: list[str]
    range: Range | None
    """None: all that the place holds."""
    spans: list[Span]
    into: str
    late: bool
    parallel: int
    slice_rows: int
    watermark: dict[str, Any] | None
    jdbc: dict[str, str]

    @property
    def manifest(self) -> Manifest:
        """What a place holds that holds nothing of it yet."""
        return Manifest(f"{self.schema}.{self.table}", self.time_column, self.partition_by, self.columns)

    @property
    def quoted_table(self) -> str:
        """As PostgreSQL takes it."""
        return ".".join('"' + name.replace('"', '""') + '"' for name in (self.schema, self.table))


def read(path: str) -> Order:
    """The order in a file."""
    return parse(json.loads(Path(path).read_text(encoding="utf-8")))


def parse(value: dict[str, Any]) -> Order:
    """The order in a value of JSON."""
    whole = None if value["from_us"] is None else Range(value["from_us"], value["to_us"])
    return Order(
        run=value["run"],
        database=value["database"],
        schema=value["schema"],
        table=value["table"],
        time_column=value["time_column"],
        time_zoned=value["time_zoned"],
        columns=[Column(column["name"], column["type"], column["nullable"]) for column in value["columns"]],
        partition_by=value["partition_by"],
        range=whole,
        spans=[Span(Range(low, high), rows) for low, high, rows in value["spans"]],
        into=value["into"],
        late=value["late"],
        parallel=value["parallel"],
        slice_rows=value["slice_rows"],
        watermark=value["watermark"],
        jdbc=value["jdbc"],
    )


def password() -> str | None:
    """The database's password, if it asks for one."""
    return os.environ.get(PASSWORD_VARIABLE)
