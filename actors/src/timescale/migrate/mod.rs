//! Versioned SQL files.
pub struct Migrator;
