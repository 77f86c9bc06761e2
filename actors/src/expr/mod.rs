//! CEL expressions over messages and rows.
