//! YAML text as an own tree in which everything knows where it was written.
//!
//! The tree is the YAML 1.2 core schema's: a plain scalar is typed when it is asked for, keys are always the text
//! that was written, anchors and merge keys are gone. Deliberately absent: any notion of what keys mean.

mod accident;
mod node;
mod parse;

pub(crate) use accident::{in_expression, tagged_expression};
pub(crate) use node::{Core, Entry, Mapping, Node, Scalar, Style, Value};
pub(crate) use parse::{parse, shortened};
