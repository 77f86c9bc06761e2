"""Where files lie in a place, and what does not belong there.

    _manifest.json                                   what the place holds
    _lock                                            held while an export runs, in a folder of this machine
    _staging/                                        what is not finished
    day=2026-11-29/symbol=BTC%2FUSD/rows-12-..parquet

A file's own columns are complete, those of the partitioning included: the folders are for pruning. Their names hold
letters, digits and `_ . -` only, the rest as percent signs do it in an address. Every function here is pure.
"""

from __future__ import annotations

import hashlib
import re
from typing import Iterable, Mapping
from urllib.parse import quote

from .manifest import NAME as MANIFEST
from .problems import Refused

STAGING = "_staging"
LOCK = "_lock"
NULL = "__HIVE_DEFAULT_PARTITION__"
VALUE_MAX = 120

_OURS = re.compile(r"day=-?\d{4,}-\d\d-\d\d/([^/]+=[^/]*/)*\.?rows-\d+-[0-9a-fm-]+-\d+\.parquet(\.crc)?")


def folder(day: str, partition: Mapping[str, str | None]) -> str:
    """The folder of a partition's files."""
    levels = [f"{_escaped(name)}={_value(value)}" for name, value in partition.items()]
    return "/".join([f"day={day}", *levels])


def _value(value: str | None) -> str:
    if value is None:
        return NULL
    text = _escaped(value)
    if len(text) <= VALUE_MAX:
        return text
    # A name of a file system has an end; the digest keeps two long values apart.
    return f"{text[:VALUE_MAX]}~{hashlib.md5(value.encode()).hexdigest()[:12]}"


def _escaped(text: str) -> str:
    return quote(text, safe="").replace("~", "%7E")


def file(day: str, partition: Mapping[str, str | None], run: int, slug: str, index: int) -> str:
    """The path of a file, the same whenever the same run is resumed."""
    return f"{folder(day, partition)}/rows-{run}-{slug}-{index}.parquet"


def leftovers(present: Iterable[str], listed: Iterable[str], managed: bool) -> list[str]:
    """Files that an interrupted export left and nobody needs; refused where there is one that no export wrote.

    `managed`: there is a manifest, or the staging folder of an export that was never finished.
    """
    known = set(listed)
    left: list[str] = []
    for path in present:
        root = path.split("/", 1)[0]
        if path in known or root in (MANIFEST, LOCK, STAGING, f".{MANIFEST}.crc"):
            continue
        if managed and _OURS.fullmatch(path):
            left.append(path)
            continue
        raise Refused(
            f"the place holds `{path}`, which no export wrote; export into an empty folder, or into one of an earlier export"
        )
    return left
