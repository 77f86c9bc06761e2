//! End to end, on the real Kafka, TimescaleDB and Redis, which the tests start themselves.
