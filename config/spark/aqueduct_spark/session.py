"""The session of Spark, and what is told to the caller: a line of JSON for each event, on standard output."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterable, TypeVar

from pyspark.sql import SparkSession

from .problems import Refused, explain

In = TypeVar("In")
Out = TypeVar("Out")


def start(name: str) -> SparkSession:
    """A session in which values mean the same on every machine."""
    spark = (
        SparkSession.builder.appName(name)
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
        .config("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED")
        .config("spark.sql.parquet.compression.codec", "zstd")
        # A slice is read by one task; a second reader of it could only get in its way.
        .config("spark.speculation", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("WARN")
    return spark


def tell(event: str, **facts: Any) -> None:
    """Tells the caller."""
    print(json.dumps({"event": event, **facts}, ensure_ascii=False), flush=True)


def side_by_side(work: Callable[[In], Out], items: Iterable[In], parallel: int) -> Iterable[Out]:
    """Does the work for every item, so many at once; ends with the first failure, when those that run have ended."""
    with ThreadPoolExecutor(max_workers=max(1, parallel)) as pool:
        try:
            yield from pool.map(work, items)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def run(main: Callable[[str], int]) -> None:
    """Runs a program with its one argument; 0 done, 1 failed, 2 differences, 3 refused."""
    try:
        sys.exit(main(sys.argv[1]))
    except Refused as refused:
        tell("refused", message=str(refused))
        sys.exit(3)
    except Exception as failure:  # noqa: BLE001 - whatever it was, the caller is told
        tell("failed", message=explain(failure))
        print(failure, file=sys.stderr)
        sys.exit(1)
