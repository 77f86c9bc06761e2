//! A compiled expression.

use super::functions::Function;
use super::loops::{self, Loop};
use super::value::Value;
use crate::json::Step;
use regex::Regex;
use std::cmp::Ordering;

/// An expression whose names are slots of a [`super::Scope`].
#[derive(Clone, Debug)]
pub struct Program {
    pub(super) root: Node,
}

impl Program {
    /// The slot, when the expression is nothing but one.
    pub fn as_slot(&self) -> Option<u32> {
        match self.root {
            Node::Slot(slot) => Some(slot),
            _ => None,
        }
    }

    /// The constant, when the expression is nothing but one.
    pub fn as_constant(&self) -> Option<&Constant> {
        match &self.root {
            Node::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    /// Conditions that are all true exactly when this one is; each may be judged as soon as its own names are known.
    pub fn conjuncts(self) -> Vec<Program> {
        match self.root {
            Node::And(sides) => sides.into_iter().flat_map(|root| Program { root }.conjuncts()).collect(),
            root => vec![Program { root }],
        }
    }

    /// Slots without whose values the condition cannot be true.
    pub fn needs(&self) -> Vec<u32> {
        fn collect(node: &Node, slots: &mut Vec<u32>) {
            match node {
                Node::Slot(slot) | Node::Text { slot, .. } | Node::Among { slot, .. } => slots.push(*slot),
                Node::And(sides) => sides.iter().for_each(|side| collect(side, slots)),
                Node::Compare(_, sides) => {
                    slots.extend(sides.iter().filter_map(|side| match side {
                        Node::Slot(slot) => Some(*slot),
                        _ => None,
                    }));
                }
                Node::Present { of, negated: false } | Node::Matches(of, _) => {
                    if let Node::Slot(slot) = **of {
                        slots.push(slot);
                    }
                }
                _ => {}
            }
        }
        let mut slots = Vec::new();
        collect(&self.root, &mut slots);
        slots
    }

    /// Every slot it reads.
    pub fn slots(&self) -> Vec<u32> {
        let mut slots = Vec::new();
        self.root.visit(&mut |node| {
            if let Node::Slot(slot) | Node::Text { slot, .. } | Node::Among { slot, .. } = node
                && !loops::is_local(*slot)
            {
                slots.push(*slot);
            }
        });
        slots
    }
}

/// A value known when the topology is built.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a point or exponent, as text: adapts to what it meets.
    Number(Box<str>),
    /// Text.
    Text(Box<str>),
    /// Microseconds since 1970 UTC.
    Time(i64),
    /// Microseconds.
    Duration(i64),
}

impl Constant {
    /// As a value.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        match self {
            Constant::Null => Value::Null,
            Constant::Bool(value) => Value::Bool(*value),
            Constant::Int(value) => Value::Int(*value),
            Constant::Number(text) => Value::Number(text),
            Constant::Text(text) => Value::Text(text.as_ref().into()),
            Constant::Time(value) => Value::Time(*value),
            Constant::Duration(value) => Value::Duration(*value),
        }
    }
}

/// What a name means where an expression stands.
#[derive(Clone, Debug)]
pub enum Name {
    /// The value of a slot, which already took so many of the steps after the name.
    Slot {
        /// Handed to [`super::Scope::value`].
        slot: u32,
        /// How many steps are part of it.
        steps: usize,
    },
    /// Known already.
    Constant(Constant),
}

/// The names an expression may use.
pub trait Names {
    /// The meaning of `root` followed by `steps`; an error says which names there are.
    fn resolve(&mut self, root: &str, steps: &[Step]) -> Result<Name, String>;

    /// How many loops stand around the expression.
    fn loops(&self) -> u32 {
        0
    }
}

/// Which comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The one that says the same with its sides exchanged.
    pub(super) fn turned(self) -> Self {
        match self {
            Comparison::Equal | Comparison::NotEqual => self,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }

    /// Whether it holds of two values in this order.
    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// What is asked of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTest {
    Is,
    IsNot,
    StartsWith,
    EndsWith,
    Contains,
}

impl TextTest {
    #[inline(always)]
    pub(super) fn holds(self, text: &str, literal: &str) -> bool {
        match self {
            TextTest::Is => text == literal,
            TextTest::IsNot => text != literal,
            TextTest::StartsWith => text.starts_with(literal),
            TextTest::EndsWith => text.ends_with(literal),
            TextTest::Contains => text.contains(literal),
        }
    }
}

/// Which arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Arithmetic {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Remainder => "%",
        }
    }

    /// Whether decimals have an exact result.
    pub(super) fn is_sum(self) -> bool {
        matches!(self, Arithmetic::Add | Arithmetic::Subtract)
    }
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Constant(Constant),
    Slot(u32),
    /// A member or element computed or found in a computed value.
    Step(Box<[Node; 2]>),
    List(Box<[Node]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    Conditional(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    /// The commonest condition: a slot's text and a literal.
    Text {
        slot: u32,
        test: TextTest,
        literal: Box<str>,
    },
    /// Whether there is a value at all (or, negated, none).
    Present {
        of: Box<Node>,
        negated: bool,
    },
    In(Box<[Node; 2]>),
    /// A slot's text and a list of literals.
    Among {
        slot: u32,
        texts: Box<[Box<str>]>,
    },
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Negate(Box<Node>),
    Matches(Box<Node>, Regex),
    Call(Function, Box<[Node]>),
    Loop(Box<Loop>),
}

impl Node {
    /// Shows `see` this node and all below it.
    fn visit(&self, see: &mut dyn FnMut(&Node)) {
        see(self);
        match self {
            Node::Constant(_) | Node::Slot(_) | Node::Text { .. } | Node::Among { .. } => {}
            Node::Step(pair) | Node::And(pair) | Node::Or(pair) | Node::In(pair) => {
                pair.iter().for_each(|node| node.visit(see));
            }
            Node::Compare(_, pair) | Node::Arithmetic(_, pair) => {
                pair.iter().for_each(|node| node.visit(see))
            }
            Node::List(items) | Node::Call(_, items) => items.iter().for_each(|node| node.visit(see)),
            Node::Loop(each) => {
                each.range.visit(see);
                each.filter().into_iter().for_each(|filter| filter.visit(see));
                each.body.visit(see);
            }
            Node::Conditional(three) => three.iter().for_each(|node| node.visit(see)),
            Node::Not(of) | Node::Negate(of) | Node::Matches(of, _) | Node::Present { of, .. } => {
                of.visit(see)
            }
        }
    }
}
