//! What every kind that speaks to TimescaleDB shares: connections, identifiers, error classes, offsets, migrations.
