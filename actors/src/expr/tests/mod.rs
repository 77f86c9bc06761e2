//! What expressions mean: by cases of ours, by what two evaluators and CEL's own interpreter agree on, and by CEL's
//! conformance cases.

mod columnar;
mod conformance;
mod generate;
mod interpreter;
mod language;
