//! The kinds of actor: Kafka sources, normalizers, TimescaleDB writers, Redis caches.
