//! CEL's macros over lists: `all`, `exists`, `exists_one`, `map`, `filter`.
//!
//! The parser writes each as a fold that copies its list at every step. The fold is recognised by that step and becomes
//! a loop of ours, with one name of its own. Elements of an array and names of an object's members are gone through; of
//! null and of scalars nothing holds, and `map` and `filter` of them are null.
//!
//! Invariant: an evaluation goes through at most [`STEPS_MAX`] elements, nested loops together; beyond, it is a fault.

use super::compile::{Compiled, node};
use super::eval::{Evaluated, Fault, Scope, truth, value};
use super::program::{Name, Names, Node};
use super::value::Value;
use crate::json::{Kind, Step};
use cel::common::ast::{ComprehensionExpr, Expr, LiteralValue, operators as op};
use std::cell::Cell;
use std::sync::Arc;

/// Most elements one evaluation goes through: a nested loop over two long lists would not end.
pub(super) const STEPS_MAX: u32 = 1 << 20;
/// The slot of the outermost loop's name; those within have the next ones. No other slot is as large.
const LOCALS_FIRST: u32 = 1 << 31;

/// Whether `slot` is a loop's name: known within the expression only.
pub(super) fn is_local(slot: u32) -> bool {
    slot >= LOCALS_FIRST
}

/// One macro.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    pub(super) range: Node,
    /// What it is asked of, or what becomes, each element.
    pub(super) body: Node,
    slot: u32,
    kind: LoopKind,
}

#[derive(Clone, Debug)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    /// `map` and `filter`, of the elements for which a condition holds.
    Collect {
        of: Option<Node>,
    },
}

impl Loop {
    /// Whether it makes a list, as `map` and `filter` do.
    pub(super) fn collects(&self) -> bool {
        matches!(self.kind, LoopKind::Collect { .. })
    }

    /// The condition of a `filter` or a `map` of three parts.
    pub(super) fn filter(&self) -> Option<&Node> {
        match &self.kind {
            LoopKind::Collect { of } => of.as_ref(),
            _ => None,
        }
    }
}

/// The names within a loop.
struct Within<'n> {
    outer: &'n mut dyn Names,
    name: &'n str,
    slot: u32,
}

impl Names for Within<'_> {
    fn resolve(&mut self, root: &str, steps: &[Step]) -> Result<Name, String> {
        if root == self.name {
            return Ok(Name::Slot { slot: self.slot, steps: 0 });
        }
        self.outer.resolve(root, steps)
    }

    fn loops(&self) -> u32 {
        self.outer.loops() + 1
    }
}

pub(super) fn compile(fold: &ComprehensionExpr, names: &mut dyn Names) -> Compiled {
    if fold.iter_var2.is_some() {
        return Err("a macro over a list takes one name".to_owned());
    }
    let range = node(&fold.iter_range.expr, names)?;
    let slot = LOCALS_FIRST + names.loops();
    let mut within = Within { outer: names, name: &fold.iter_var, slot };
    let accumulated = |expr: &Expr| matches!(expr, Expr::Ident(name) if *name == fold.accu_var);
    let (kind, body) = match step(&fold.loop_step.expr) {
        Some((op::LOGICAL_AND, [Some(all), Some(test), None])) if accumulated(all) => (LoopKind::All, test),
        Some((op::LOGICAL_OR, [Some(any), Some(test), None])) if accumulated(any) => (LoopKind::Exists, test),
        Some((op::ADD, [Some(list), Some(element), None])) if accumulated(list) => {
            (LoopKind::Collect { of: None }, element)
        }
        Some((op::CONDITIONAL, [Some(test), Some(added), Some(kept)])) if accumulated(kept) => {
            match step(added) {
                Some((op::ADD, [Some(count), Some(Expr::Literal(LiteralValue::Int(_))), None]))
                    if accumulated(count) =>
                {
                    (LoopKind::ExistsOne, test)
                }
                Some((op::ADD, [Some(list), Some(element), None])) if accumulated(list) => {
                    (LoopKind::Collect { of: Some(node(test, &mut within)?) }, element)
                }
                _ => return Err("this macro is not available".to_owned()),
            }
        }
        _ => return Err("this macro is not available".to_owned()),
    };
    let body = match (&kind, body) {
        // The fold adds a list of one element.
        (LoopKind::Collect { .. }, Expr::List(list)) if list.elements.len() == 1 => &list.elements[0].expr,
        (_, body) => body,
    };
    let body = node(body, &mut within)?;
    Ok(Node::Loop(Box::new(Loop { range, body, slot, kind })))
}

/// The operator of a fold's step and what it works on.
fn step(expr: &Expr) -> Option<(&str, [Option<&Expr>; 3])> {
    let Expr::Call(call) = expr else { return None };
    let argument = |index: usize| call.args.get(index).map(|argument| &argument.expr);
    Some((call.func_name.as_str(), [argument(0), argument(1), argument(2)]))
}

/// One turn of a loop.
struct Turn<'s, 'a> {
    outer: &'s dyn Scope<'a>,
    slot: u32,
    element: Value<'a>,
    steps: &'s Cell<u32>,
}

impl<'a> Scope<'a> for Turn<'_, 'a> {
    fn value(&self, slot: u32) -> Value<'a> {
        if slot == self.slot { self.element.clone() } else { self.outer.value(slot) }
    }

    fn steps(&self) -> Option<&Cell<u32>> {
        Some(self.steps)
    }
}

pub(super) fn run<'a, S: Scope<'a>>(each: &'a Loop, scope: &S) -> Evaluated<'a> {
    let own = Cell::new(0);
    let steps = scope.steps().unwrap_or(&own);
    let mut state = State { each, holding: 0, failing: 0, collected: Vec::new(), fault: None };
    let mut turn = |element: Value<'a>| -> Result<bool, Fault> {
        steps.set(steps.get() + 1);
        if steps.get() > STEPS_MAX {
            return Err(Fault::new(format!("more than {STEPS_MAX} elements are gone through")));
        }
        state.take(&Turn { outer: scope, slot: each.slot, element, steps })
    };
    match value(&each.range, scope)? {
        Value::List(items) => {
            for item in items.iter() {
                if turn(item.clone())? {
                    break;
                }
            }
        }
        Value::Node(node) if matches!(node.kind(), Kind::Array | Kind::Object) => {
            for (name, item) in node.children() {
                if turn(Value::of(name.unwrap_or(item)))? {
                    break;
                }
            }
        }
        _ if matches!(each.kind, LoopKind::Collect { .. }) => return Ok(Value::Null),
        _ => return Ok(Value::Bool(false)),
    }
    state.end()
}

struct State<'a> {
    each: &'a Loop,
    holding: usize,
    failing: usize,
    collected: Vec<Value<'a>>,
    fault: Option<Fault>,
}

impl<'a> State<'a> {
    /// Whether the outcome is known. As in CEL, an element that decides decides, though another one errs.
    fn take(&mut self, turn: &Turn<'_, 'a>) -> Result<bool, Fault> {
        if let LoopKind::Collect { of } = &self.each.kind {
            if of.as_ref().map_or(Ok(true), |of| truth(of, turn))? {
                self.collected.push(value(&self.each.body, turn)?);
            }
            return Ok(false);
        }
        match truth(&self.each.body, turn) {
            Ok(true) => self.holding += 1,
            Ok(false) => self.failing += 1,
            Err(fault) => self.fault = self.fault.take().or(Some(fault)),
        }
        Ok(self.is_decided())
    }

    fn is_decided(&self) -> bool {
        match self.each.kind {
            LoopKind::All => self.failing > 0,
            LoopKind::Exists => self.holding > 0,
            LoopKind::ExistsOne | LoopKind::Collect { .. } => false,
        }
    }

    fn end(mut self) -> Evaluated<'a> {
        match self.fault.take() {
            Some(fault) if !self.is_decided() => Err(fault),
            _ => Ok(match self.each.kind {
                LoopKind::All => Value::Bool(self.failing == 0),
                LoopKind::Exists => Value::Bool(self.holding > 0),
                LoopKind::ExistsOne => Value::Bool(self.holding == 1),
                LoopKind::Collect { .. } => Value::List(Arc::from(self.collected)),
            }),
        }
    }
}
