"""What can be wrong, said so that somebody knows what to do."""

from __future__ import annotations


class Refused(Exception):
    """The order cannot be carried out as it is; nothing was changed."""


# What is found in the text of a failure, and what it means. The first that is found counts.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        "No space left on device",
        "the destination is full; free some space and run the same command again: finished slices are not read again",
    ),
    (
        "Disk quota exceeded",
        "the destination's quota is used up; free some space and run the same command again: finished slices are not "
        "read again",
    ),
    (
        "File name too long",
        "a partition's name is too long for the destination",
    ),
    (
        "cannot convert infinity to bigint",
        "a timestamp of the table is infinite, and Parquet has no such value; correct the row, or export another range",
    ),
    (
        "cannot subtract infinite dates",
        "a date of the table is infinite, and Parquet has no such value; correct the row, or export another range",
    ),
    (
        "Bad value for type BigDecimal",
        "a numeric of the table is NaN or infinite, and Parquet's decimals have no such value; correct the row, or export "
        "another range",
    ),
    (
        "permission denied",
        "the role of exports may not read the table",
    ),
    (
        "Connection refused",
        "the database does not answer; run the same command again once it does: finished slices are not read again",
    ),
    (
        "This connection has been closed",
        "the database went away; run the same command again once it is back: finished slices are not read again",
    ),
    (
        "terminating connection",
        "the database ended the session; run the same command again: finished slices are not read again",
    ),
    (
        "An I/O error occurred while sending to the backend",
        "the database went away; run the same command again once it is back: finished slices are not read again",
    ),
)

TEXT_MAX = 1_000


def explain(failure: BaseException) -> str:
    """One sentence for a person, followed by what was thrown, shortened."""
    text = str(failure)
    # Of Java's own account only what it says, not where it stood.
    lines = [line.strip() for line in text.splitlines() if not line.startswith("\t") and line.strip()]
    said = " ".join(lines)[:TEXT_MAX]
    for found, meaning in _CAUSES:
        if found in text:
            line = next((line.strip() for line in text.splitlines() if found in line), found)
            return f"{meaning} ({line[:300]})"
    return f"{type(failure).__name__}: {said}"
