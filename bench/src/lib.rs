//! Benchmarks: the engine beside a program without one.
