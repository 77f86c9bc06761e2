"""Makes what is staged the place's own: files first, the manifest last, and then what the manifest lists no more goes.

Invariant: every step may be repeated, and a reader who trusts the manifest alone meets the old state or the new one.
"""

from __future__ import annotations

from typing import Any, Sequence

from . import layout, manifest as manifests
from .intervals import Range
from .manifest import File, Manifest, Part
from .order import Order
from .staging import Slice, Staging, Written
from .storage import Storage


def plan(order: Order, before: Manifest, work: Sequence[tuple[Slice, list[Written]]]) -> dict[str, Any]:
    """What publishing the finished slices takes: the new manifest, moves, removals."""
    parts: list[Part] = []
    files: list[File] = []
    moves: list[tuple[str, str]] = []
    for span in sorted({one.part for one, _ in work}):
        mine = [(one, written) for one, written in work if one.part == span]
        of_part = [_placed(order, span, one, index, file, moves) for one, some in mine for index, file in enumerate(some)]
        files.extend(of_part)
        rows, checksum = sum(file.rows for file in of_part), manifests.summed(file.checksum for file in of_part)
        names = [column.name for column in order.columns]
        parts.append(Part(span, names, rows, checksum, order.run, order.watermark))
    after, gone = manifests.replaced(before, parts, files)
    return {
        "manifest": manifests.to_json(after),
        "moves": moves,
        "gone": gone,
        "rows": sum(part.rows for part in parts),
        "files": len(files),
        "bytes": sum(file.bytes for file in files),
        "parts": [part.name for part in parts],
    }


def _placed(
    order: Order, span: Range, one: Slice, index: int, file: Written, moves: list[tuple[str, str]]
) -> File:
    target = layout.file(span.day, file.partition, order.run, one.range.slug, index)
    moves.append((file.path, target))
    return File(
        target, span.name, file.partition, file.rows, file.checksum, file.bytes, file.sha256, file.min, file.max
    )


def publish(storage: Storage, staging: Staging, prepared: dict[str, Any]) -> None:
    """Carries out what was planned, or what is left of it."""
    for source, target in prepared["moves"]:
        if storage.exists(source):
            storage.move(source, target)
        elif not storage.exists(target):
            raise FileNotFoundError(f"{source} was written and is gone; delete {staging.folder} and export again")
    storage.replace(manifests.NAME, prepared["manifest"])
    for path in prepared["gone"]:
        storage.remove(path)
    storage.remove(layout.STAGING)
