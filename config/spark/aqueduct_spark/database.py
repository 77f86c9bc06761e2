"""Reads the table. Every session is read-only and has the role of exports, whoever logs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from . import fingerprint, order as orders, schema
from .comparison import Sums
from .intervals import Range, iso
from .order import Order
from .schema import Column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FETCH_ROWS = 10_000


def between(order: Order, span: Range) -> str:
    """The condition that a row's time lies in the range."""
    kind = "TIMESTAMPTZ" if order.time_zoned else "TIMESTAMP"
    column = Column(order.time_column, "").quoted
    low, high = (f"{kind} '{iso(us).rstrip('Z')}{'+00' if order.time_zoned else ''}'" for us in (span.from_us, span.to_us))
    return f"{column} >= {low} AND {column} < {high}"


def rows_query(order: Order, span: Range) -> str:
    """The rows of a range."""
    columns = ", ".join(schema.selected(column) for column in order.columns)
    return f"SELECT {columns} FROM {order.quoted_table} WHERE {between(order, span)}"


def sums_query(order: Order, columns: Sequence[Column], partition_by: Sequence[Column], span: Range) -> str:
    """Count and checksum of the rows of a range, by partition."""
    keys = [f"{fingerprint.text_in_postgres(column)} AS p{index}" for index, column in enumerate(partition_by)]
    group = f" GROUP BY {', '.join(str(index + 1) for index in range(len(keys)))}" if keys else ""
    # As text: Spark would make a decimal with digits behind the point of it.
    hashes = f"coalesce(sum({fingerprint.in_postgres(columns)}), 0)::text AS summed"
    selected = ", ".join([*keys, "count(*) AS counted", hashes])
    return f"SELECT {selected} FROM {order.quoted_table} WHERE {between(order, span)}{group}"


def rows(spark: SparkSession, order: Order, span: Range) -> DataFrame:
    """The rows of a range, in one session and so of one moment, with the types of the files."""
    return _query(spark, order, rows_query(order, span)).selectExpr(*map(schema.received, order.columns))


def sums(spark: SparkSession, order: Order, columns: Sequence[Column], by: Sequence[Column], span: Range) -> Sums:
    """As the database sees them."""
    found = _query(spark, order, sums_query(order, columns, by, span)).collect()
    return {tuple(row[: len(by)]): (row["counted"], int(row["summed"])) for row in found if row["counted"]}


def _query(spark: SparkSession, order: Order, query: str) -> DataFrame:
    reader = spark.read.format("jdbc").options(**order.jdbc).option("query", query).option("fetchsize", FETCH_ROWS)
    password = orders.password()
    if password is not None:
        reader = reader.option("password", password)
    return reader.load()
