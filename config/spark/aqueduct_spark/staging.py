"""What an export has done so far, kept beside what it has written, so that one that was killed goes on.

    _staging/run-12/work.json            which database and table; the slices, fixed by the first attempt
    _staging/run-12/rows/<slice>-<random>/..    what one attempt at one slice wrote
    _staging/run-12/done/<slice>.json    the slice is done, and these are its files
    _staging/run-12/publish.json         everything is done, and this is what publishing moves

Invariant: a slice without its `done` file has left nothing that anybody will look at.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from .intervals import Range
from .layout import STAGING
from .problems import Refused
from .storage import Storage


@dataclass(frozen=True)
class Slice:
    """What one task reads and writes."""

    part: Range
    range: Range


@dataclass(frozen=True)
class Written:
    """One file of a slice, where its attempt left it."""

    path: str
    partition: dict[str, str | None]
    rows: int
    checksum: int
    bytes: int
    sha256: str
    min: dict[str, str | None]
    max: dict[str, str | None]


class Staging:
    """The staging folder of one run."""

    def __init__(self, storage: Storage, run: int, owner: str) -> None:
        self._storage = storage
        self._owner = owner
        self.folder = f"{STAGING}/run-{run}"

    def refuse_strangers(self) -> None:
        """Refused where the staging folder holds what an export of another database or table has not finished."""
        for path in self._storage.files():
            if path.startswith(f"{STAGING}/") and path.endswith("/work.json"):
                owner = json.loads(self._storage.read(path) or "{}").get("owner")
                if owner != self._owner:
                    raise Refused(
                        f"the place holds an unfinished export of {owner} ({path}); finish that, or delete `{STAGING}` "
                        "there, or export into another place"
                    )

    def clear_others(self) -> None:
        """Removes what earlier runs have not finished: nobody will, for the place is held by this one."""
        roots = {"/".join(path.split("/")[:2]) for path in self._storage.files() if path.startswith(f"{STAGING}/")}
        for root in roots - {self.folder}:
            self._storage.remove(root)

    def work(self) -> list[Slice] | None:
        """The slices that an earlier attempt at this run has fixed."""
        text = self._storage.read(f"{self.folder}/work.json")
        if text is None:
            return None
        return [Slice(Range(*one["part"]), Range(*one["range"])) for one in json.loads(text)["slices"]]

    def fix(self, slices: list[Slice]) -> None:
        """Fixes the slices for every attempt."""
        rows = [
            {"part": [one.part.from_us, one.part.to_us], "range": [one.range.from_us, one.range.to_us]} for one in slices
        ]
        self._storage.replace(f"{self.folder}/work.json", json.dumps({"owner": self._owner, "slices": rows}))

    def done(self, one: Slice) -> list[Written] | None:
        """The files of a slice that is done."""
        text = self._storage.read(self._done(one))
        if text is None:
            return None
        return [Written(**{**file, "checksum": int(file["checksum"])}) for file in json.loads(text)]

    def finish(self, one: Slice, files: list[Written]) -> None:
        """The slice is done."""
        rows = [{**asdict(file), "checksum": str(file.checksum)} for file in files]
        self._storage.replace(self._done(one), json.dumps(rows))

    def _done(self, one: Slice) -> str:
        return f"{self.folder}/done/{one.range.slug}.json"

    def prepared(self) -> dict[str, Any] | None:
        """What an earlier attempt was publishing."""
        text = self._storage.read(f"{self.folder}/publish.json")
        return None if text is None else json.loads(text)

    def prepare(self, plan: dict[str, Any]) -> None:
        """From here on the run only publishes."""
        self._storage.replace(f"{self.folder}/publish.json", json.dumps(plan))
