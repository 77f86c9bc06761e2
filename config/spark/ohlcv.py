"""Daily bars, volume profiles and volatility from an export: `spark-submit ohlcv.py FOLDER RESULT [NAME=VALUE..]`.

An example of batch work over what `aqueduct export` has published. It reads the files that the manifest lists, and writes
three folders of Parquet into RESULT: `bars`, `profile`, `volatility`. The names of columns, and the width of a bin of the
profile, are arguments: `symbol=k price=p quantity=q bin=0.5 sample_seconds=300`.

What is computed, so that the same can be said in SQL:

- a bar: of each day and symbol the first and the last price by time (of several at one time the lower opens and the higher
  closes), the highest and the lowest, the sum of quantities, and the number of trades;
- a profile: of each day and symbol the quantity by price, in bins that begin at a multiple of the width;
- realised volatility: of each day and symbol the root of the sum of squared differences between the logarithms of
  neighbouring prices, of which there is one, the last, for each interval in which there was a trade.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Sequence

from aqueduct_spark import manifest as manifests, schema, session
from aqueduct_spark import storage as storages
from aqueduct_spark.problems import Refused
from pyspark.sql import DataFrame, SparkSession, Window, functions as F


@dataclass(frozen=True)
class Names:
    """What the columns are called, and how finely is counted."""

    symbol: str = "symbol"
    price: str = "price"
    quantity: str = "qty"
    bin: str = "1"
    sample_seconds: str = "300"


def parse(arguments: Sequence[str]) -> Names:
    """Arguments of the form NAME=VALUE."""
    known = {field.name for field in fields(Names)}
    given = dict(argument.partition("=")[::2] for argument in arguments)
    unknown = sorted(given.keys() - known)
    if unknown:
        raise Refused(f"unknown argument `{unknown[0]}`; there are {', '.join(sorted(known))}")
    return Names(**given)


def read(spark: SparkSession, folder: str) -> tuple[DataFrame, str]:
    """The rows that the manifest lists, and the name of their time."""
    storage = storages.of(spark, folder)
    text = storage.read(manifests.NAME)
    if text is None:
        raise Refused(f"{folder} has no {manifests.NAME}: nothing was exported into it")
    manifest = manifests.from_json(text)
    paths = [storage.uri(file.path) for file in manifest.files]
    if not paths:
        raise Refused(f"{folder} has no rows")
    return spark.read.schema(schema.struct(manifest.columns)).parquet(*paths), manifest.time_column


def trades(rows: DataFrame, time: str, names: Names) -> DataFrame:
    """The rows under the names that are used below."""
    return rows.select(
        F.to_date(time).alias("day"),
        F.col(names.symbol).alias("symbol"),
        F.col(time).alias("time"),
        F.col(names.price).alias("price"),
        F.col(names.quantity).alias("quantity"),
    )


def bars(of: DataFrame) -> DataFrame:
    """Open, high, low, close, volume, trades of each day and symbol."""
    at = F.struct("time", "price")
    return of.groupBy("day", "symbol").agg(
        F.min_by("price", at).alias("open"),
        F.max("price").alias("high"),
        F.min("price").alias("low"),
        F.max_by("price", at).alias("close"),
        F.sum("quantity").alias("volume"),
        F.count(F.lit(1)).alias("trades"),
    )


def profile(of: DataFrame, width: str) -> DataFrame:
    """Quantity by price of each day and symbol."""
    step = F.lit(width).cast("decimal(18,8)")
    bin_of = (F.floor(F.col("price") / step) * step).cast("decimal(38,8)").alias("bin")
    return of.groupBy("day", "symbol", bin_of).agg(F.sum("quantity").alias("volume"))


def volatility(of: DataFrame, seconds: int) -> DataFrame:
    """Realised volatility of each day and symbol."""
    interval = F.floor(F.unix_micros("time") / (seconds * 1_000_000))
    closes = of.groupBy("day", "symbol", interval.alias("interval")).agg(
        F.max_by("price", F.struct("time", "price")).cast("double").alias("price")
    )
    before = F.lag("price").over(Window.partitionBy("day", "symbol").orderBy("interval"))
    returns = closes.withColumn("change", F.log("price") - F.log(before))
    return returns.groupBy("day", "symbol").agg(
        F.sqrt(F.sum(F.col("change") * F.col("change"))).alias("volatility"), F.count("change").alias("samples")
    )


def main(folder: str) -> int:
    """Computes all three."""
    result, names = sys.argv[2], parse(sys.argv[3:])
    spark = session.start("aqueduct ohlcv")
    rows, time = read(spark, folder)
    of = trades(rows, time, names)
    tables = {"bars": bars(of), "profile": profile(of, names.bin), "volatility": volatility(of, int(names.sample_seconds))}
    for name, table in tables.items():
        table.write.mode("overwrite").parquet(f"{result}/{name}")
    session.tell("computed", tables=sorted(tables))
    return 0


if __name__ == "__main__":
    session.run(main)
