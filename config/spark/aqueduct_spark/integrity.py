"""Whether the files of a place are those that an export wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable

from .manifest import File
from .storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def wrong_files(spark: SparkSession, storage: Storage, files: Iterable[File]) -> list[dict[str, Any]]:
    """Files that are not there, or are not what was written."""
    found = []
    there: list[File] = []
    for file in files:
        if storage.exists(file.path):
            there.append(file)
        else:
            found.append({"part": file.part, "file": file.path, "what": "the file is gone"})
    if not there:
        return found
    read = spark.read.format("binaryFile").load([storage.uri(file.path) for file in there])
    digests = {row["path"]: row["sha256"] for row in read.selectExpr("path", "sha2(content, 256) AS sha256").collect()}
    for file in there:
        digest = next((digest for path, digest in digests.items() if path.endswith(f"/{file.path}")), None)
        if digest != file.sha256:
            found.append({"part": file.part, "file": file.path, "what": "the file is not the one that was written"})
    return found
