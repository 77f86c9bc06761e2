"""Drains the topic of ticks into bench.trades by COPY and, if BENCH_REDIS is set, the last of each symbol into Redis.

The database is found by libpq's own variables.
"""

import os

import orjson
import psycopg
import redis
from bytewax import operators
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition

COPY = "COPY bench.trades (ts, symbol, venue, price, size, side, trade_id) FROM STDIN"
BATCH_ROWS = 5000


class Stores(StatelessSinkPartition):
    """The connections of one worker."""

    def __init__(self):
        self.database = psycopg.connect(autocommit=True)
        address = os.environ.get("BENCH_REDIS")
        self.redis = redis.Redis.from_url(address) if address else None

    def write_batch(self, messages):
        rows, last = [], {}
        for message in messages:
            tick = orjson.loads(message.value)
            rows.append(
                "%s\t%s\t%s\t%r\t%r\t%s\t%d\n"
                % (
                    tick["ts"],
                    tick["symbol"],
                    tick["venue"],
                    tick["price"],
                    tick["size"],
                    tick["side"],
                    tick["trade_id"],
                )
            )
            if self.redis:
                last["bytewax:" + tick["symbol"]] = message.value
        with self.database.cursor().copy(COPY) as copy:
            copy.write("".join(rows))
        if last:
            self.redis.mset(last)


class Sink(DynamicSink):
    """A sink in every worker."""

    def build(self, step_id, worker_index, worker_count):
        return Stores()


flow = Dataflow("drain")
source = KafkaSource(
    [os.environ["BENCH_KAFKA"]], [os.environ["BENCH_TOPIC"]], batch_size=BATCH_ROWS, tail=True
)
operators.output("stores", operators.input("ticks", flow, source), Sink())
