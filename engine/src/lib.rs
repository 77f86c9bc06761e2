//! The actor runtime: links, supervisors, lifecycle, ledger, clock, telemetry, administration.
