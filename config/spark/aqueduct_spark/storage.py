"""The place: a folder of this machine, or whatever Hadoop's file systems reach.

Invariant: `replace` leaves the old text or the new one; a folder of this machine has it on the disk when it returns.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Storage(ABC):
    """Paths are relative to the place, with `/` between their parts."""

    root: str

    @abstractmethod
    def files(self) -> Iterator[str]:
        """Every file below the place."""

    @abstractmethod
    def read(self, path: str) -> str | None:
        """The text of a file, if there is one."""

    @abstractmethod
    def replace(self, path: str, text: str) -> None:
        """Writes a file, at once."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is something."""

    @abstractmethod
    def move(self, source: str, target: str) -> None:
        """Moves a file to where none is."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file or a folder, if there is one."""

    def uri(self, path: str) -> str:
        """As Spark takes it."""
        return f"{self.root}/{path}"


class Folder(Storage):
    """A folder of this machine, or one that is mounted here and on every worker."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.root = f"file://{path}"

    def files(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._path):
            for name in names:
                yield str((Path(folder) / name).relative_to(self._path))

    def read(self, path: str) -> str | None:
        try:
            return (self._path / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def replace(self, path: str, text: str) -> None:
        target = self._path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
        _sync(target.parent)

    def exists(self, path: str) -> bool:
        return (self._path / path).exists()

    def move(self, source: str, target: str) -> None:
        _sync(self._path / source)
        (self._path / target).parent.mkdir(parents=True, exist_ok=True)
        os.rename(self._path / source, self._path / target)

    def remove(self, path: str) -> None:
        target = self._path / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
            target.with_name(f".{target.name}.crc").unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Hadoop(Storage):
    """Any address that Hadoop knows, through the JVM that Spark runs in."""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.root = root.rstrip("/")
        self._gateway: Any = spark.sparkContext._gateway
        self._jvm: Any = spark.sparkContext._jvm
        self._conf: Any = spark.sparkContext._jsc.hadoopConfiguration()
        self._fs: Any = self._path("").getFileSystem(self._conf)

    def _path(self, path: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(self.uri(path) if path else self.root)

    def files(self) -> Iterator[str]:
        if not self._fs.exists(self._path("")):
            return
        base = self._fs.makeQualified(self._path("")).toUri().getPath().rstrip("/")
        found = self._fs.listFiles(self._path(""), True)
        while found.hasNext():
            yield found.next().getPath().toUri().getPath()[len(base) + 1 :]

    def read(self, path: str) -> str | None:
        if not self._fs.exists(self._path(path)):
            return None
        stream = self._fs.open(self._path(path))
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()

    def replace(self, path: str, text: str) -> None:
        partial = f"{path}.partial"
        stream = self._fs.create(self._path(partial), True)
        stream.write(bytearray(text, "utf-8"))
        stream.close()
        kind: Any = getattr(self._jvm.org.apache.hadoop.fs, "Options$Rename")
        options = self._gateway.new_array(kind, 1)
        options[0] = kind.OVERWRITE
        context = self._jvm.org.apache.hadoop.fs.FileContext.getFileContext(self._path("").toUri(), self._conf)
        context.rename(self._path(partial), self._path(path), options)

    def exists(self, path: str) -> bool:
        return bool(self._fs.exists(self._path(path)))

    def move(self, source: str, target: str) -> None:
        self._fs.mkdirs(self._path(target).getParent())
        if not self._fs.rename(self._path(source), self._path(target)):
            raise OSError(f"cannot move {source} to {target}")

    def remove(self, path: str) -> None:
        self._fs.delete(self._path(path), True)


def of(spark: SparkSession, into: str) -> Storage:
    """The place of that name."""
    if "://" not in into:
        return Folder(Path(into))
    address = urlsplit(into)
    if address.scheme == "file":
        return Folder(Path(unquote(address.path)))
    return Hadoop(spark, into)
