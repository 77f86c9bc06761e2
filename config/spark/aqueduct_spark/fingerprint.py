"""A checksum of rows that does not depend on their order, the same in PostgreSQL and in Spark.

A row is written as one text: of each column the length and the characters, or `-` for null, so that no two different rows
have one text. Its hash is the first 60 bits of the text's MD5; the checksum of many rows is the sum of their hashes, so a
row that is there twice counts twice. It finds errors and says nothing about malice: for that, files have their SHA-256.
Every function here is pure.
"""

from __future__ import annotations

from typing import Sequence

from .schema import Column


def in_postgres(columns: Sequence[Column]) -> str:
    """The hash of a row of a table."""
    pieces = " || ".join(_piece_in_postgres(text_in_postgres(column)) for column in columns)
    return f"('x' || substr(md5(convert_to({pieces}, 'UTF8')), 1, 15))::bit(60)::bigint"


def _piece_in_postgres(text: str) -> str:
    return f"coalesce(length({text}) || ':' || {text}, '-')"


def text_in_postgres(column: Column) -> str:
    """A value as text, exact; null stays null."""
    name = column.quoted
    match column.spark:
        case "timestamp" | "timestamp_ntz":
            return f"(extract(epoch FROM {name}) * 1000000)::bigint::text"
        case "date":
            return f"({name} - DATE '1970-01-01')::text"
        case "boolean":
            return f"CASE WHEN {name} THEN 't' WHEN NOT {name} THEN 'f' END"
        case "double":
            return f"('x' || encode(float8send({name}), 'hex'))::bit(64)::bigint::text"
        case "float":
            return f"('x' || encode(float4send({name}), 'hex'))::bit(32)::int::text"
        case "binary":
            return f"encode({name}, 'hex')"
        case _:
            return f"{name}::text"


def in_spark(columns: Sequence[Column]) -> str:
    """The hash of a row of files, as decimal(20,0)."""
    pieces = ", ".join(_piece_in_spark(text_in_spark(column)) for column in columns)
    return f"CAST(conv(substring(md5(encode(concat({pieces}), 'UTF-8')), 1, 15), 16, 10) AS decimal(20,0))"


def _piece_in_spark(text: str) -> str:
    return f"coalesce(concat(CAST(length({text}) AS string), ':', {text}), '-')"


def text_in_spark(column: Column) -> str:
    """A value as text, exact; null stays null."""
    name = column.ticked
    match column.spark:
        case "timestamp":
            return f"CAST(unix_micros({name}) AS string)"
        case "timestamp_ntz":
            return f"CAST(unix_micros(CAST({name} AS timestamp)) AS string)"
        case "date":
            return f"CAST(unix_date({name}) AS string)"
        case "boolean":
            return f"CASE WHEN {name} THEN 't' WHEN NOT {name} THEN 'f' END"
        case "double":
            bits = f"java_method('java.lang.Double', 'doubleToLongBits', {name})"
            return f"CASE WHEN {name} IS NOT NULL THEN {bits} END"
        case "float":
            bits = f"java_method('java.lang.Float', 'floatToIntBits', {name})"
            return f"CASE WHEN {name} IS NOT NULL THEN {bits} END"
        case "binary":
            return f"lower(hex({name}))"
        case _:
            return f"CAST({name} AS string)"
