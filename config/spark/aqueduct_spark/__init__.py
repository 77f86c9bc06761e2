"""Exports of TimescaleDB tables to Parquet, and what is computed from them in batch.

`export.py`, `verify.py`, `json_rows.py` and `ohlcv.py` beside this package are what is submitted to Spark. In here, everything that
decides (`intervals`, `schema`, `fingerprint`, `manifest`, `layout`, `order`, `json_rows`) is pure and is tested without Spark; what
touches the outside is `storage`, `integrity`, `database` and `session`.

Deliberately absent: locks, watermarks and the record of runs. Those are the caller's, who hands in an order.
"""
