"""What differs between a table and its files. Every function here is pure."""

from __future__ import annotations

from typing import Any, Sequence

Sums = dict[tuple[str | None, ...], tuple[int, int]]
"""Count and checksum by the partition's values."""


def differences(part: str, by: Sequence[str], in_table: Sums, in_files: Sums) -> list[dict[str, Any]]:
    """What differs, partition by partition."""
    found = []
    for key in sorted({*in_table, *in_files}, key=lambda key: [text or "" for text in key]):
        table, files = in_table.get(key, (0, 0)), in_files.get(key, (0, 0))
        if table != files:
            what = "rows differ in number" if table[0] != files[0] else "as many rows, but not the same"
            found.append(
                {"part": part, "partition": dict(zip(by, key)), "what": what, "table": table[0], "files": files[0]}
            )
    return found
