//! CEL expressions over messages and rows.
//!
//! The `cel` crate parses; [`compile`] turns its tree into a [`Program`] of ours whose names are already slots;
//! [`Program::value`] and [`Program::is_true`] walk that on borrowed scalars, and [`rows`] puts whole columns through
//! kernels planned from the same program. What an author may write is decided when a topology is built: a construct this
//! evaluator does not have is an error there, never at run time.
//!
//! Null rules. What is absent is null. A comparison with null or of different types is false (`x != null` and
//! `has(x)` test presence); a method that asks a question of null is false; arithmetic, conversions and other functions
//! of null are null. Numbers of a message and literals keep their text, so decimals stay exact.
//! Faults (overflow, division by zero, a conversion that fails) reject a row where a value is computed, and make a
//! condition not true.
//! Deliberately absent: expressions that only one of both evaluators has. What has no kernel is walked, and a law of the
//! tests holds that they never differ.

mod columnar;
mod compile;
pub mod decimal;
pub(crate) mod digits;
mod eval;
mod functions;
mod loops;
mod parts;
mod program;
pub mod rows;
#[cfg(test)]
mod tests;
pub mod time;
mod value;

pub use columnar::Computed;
pub use compile::{CompileError, compile};
pub use eval::{Fault, Scope};
pub(crate) use functions::finite;
pub use program::{Constant, Name, Names, Program};
pub use value::Value;
