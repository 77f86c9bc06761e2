//! From the parser's tree to a [`Program`].
//!
//! Everything that can be wrong with an expression without knowing a message is found here: unknown names and functions,
//! wrong numbers of arguments, constructs this evaluator does not have.

use super::functions::Function;
use super::loops;
use super::program::{Arithmetic, Comparison, Constant, Name, Names, Node, Program, TextTest};
use crate::json::Step;
use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators};
use regex::Regex;

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in `{text}`: {reason}")]
pub struct CompileError {
    /// The expression.
    pub text: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// Compiles `text` for the place whose names are `names`.
pub fn compile(text: &str, names: &mut dyn Names) -> Result<Program, CompileError> {
    let refuse = |reason| CompileError { text: text.to_owned(), reason };
    let parsed = cel::Program::compile(text).map_err(|errors| {
        let first = errors.errors.first().map_or_else(|| errors.to_string(), |error| error.msg.clone());
        refuse(first)
    })?;
    let root = node(&parsed.expression().expr, names).map_err(refuse)?;
    Ok(Program { root })
}

pub(super) type Compiled = Result<Node, String>;

pub(super) fn node(expr: &Expr, names: &mut dyn Names) -> Compiled {
    match expr {
        Expr::Literal(literal) => constant(literal).map(Node::Constant),
        Expr::Ident(_) | Expr::Select(SelectExpr { test: false, .. }) => chain(expr, names),
        Expr::Select(select) => {
            let plain = Expr::Select(SelectExpr { test: false, ..select.clone() });
            Ok(Node::Present { of: Box::new(node(&plain, names)?), negated: false })
        }
        Expr::Call(call) if call.func_name == operators::INDEX => chain(expr, names),
        Expr::Call(call) => self::call(call, names),
        Expr::List(list) => Ok(Node::List(
            list.elements.iter().map(|item| node(&item.expr, names)).collect::<Result<_, _>>()?,
        )),
        Expr::Comprehension(fold) => loops::compile(fold, names),
        Expr::Map(_) => Err("a map literal is not available".to_owned()),
        Expr::Struct(structure) => {
            Err(format!("the message literal `{}` is not available", structure.type_name))
        }
        Expr::Unspecified => Err("the expression is incomplete".to_owned()),
    }
}

fn constant(literal: &LiteralValue) -> Result<Constant, String> {
    Ok(match literal {
        LiteralValue::Null => Constant::Null,
        LiteralValue::Boolean(value) => Constant::Bool(*value.inner()),
        LiteralValue::Int(value) => Constant::Int(*value.inner()),
        LiteralValue::UInt(value) => Constant::Int(
            i64::try_from(*value.inner())
                .map_err(|_| format!("{}u is beyond 64 signed bits", value.inner()))?,
        ),
        LiteralValue::Double(value) if value.inner().is_finite() => {
            Constant::Number(value.inner().to_string().into())
        }
        LiteralValue::Double(_) => return Err("a number must be finite".to_owned()),
        LiteralValue::String(value) => Constant::Text(value.inner().into()),
        LiteralValue::Bytes(_) => return Err("a bytes literal is not available".to_owned()),
    })
}

/// `root.a["b"][0]`: one slot for as long as the steps are written out, computed steps after that.
fn chain(expr: &Expr, names: &mut dyn Names) -> Compiled {
    let mut links = Vec::new();
    let mut base = expr;
    loop {
        match base {
            Expr::Select(select) if !select.test => {
                links.push(Link::Known(Step::Member(select.field.clone())));
                base = &select.operand.expr;
            }
            Expr::Call(CallExpr { func_name, target: None, args }) if func_name == operators::INDEX => {
                let [of, index] = args.as_slice() else { return Err("an index needs one value".to_owned()) };
                links.push(match known_step(&index.expr) {
                    Some(step) => Link::Known(step),
                    None => Link::Computed(&index.expr),
                });
                base = &of.expr;
            }
            _ => break,
        }
    }
    links.reverse();
    let known: Vec<Step> = links
        .iter()
        .map_while(|link| match link {
            Link::Known(step) => Some(step.clone()),
            Link::Computed(_) => None,
        })
        .collect();
    let (mut found, taken) = match base {
        Expr::Ident(name) => match names.resolve(name, &known)? {
            Name::Slot { slot, steps } => (Node::Slot(slot), steps),
            Name::Constant(constant) => (Node::Constant(constant), 0),
        },
        other => (node(other, names)?, 0),
    };
    for link in &links[taken..] {
        let step = match link {
            Link::Known(Step::Member(name)) => Node::Constant(Constant::Text(name.as_str().into())),
            Link::Known(Step::Element(index) | Step::Either(_, index)) => {
                Node::Constant(Constant::Int(i64::from(*index)))
            }
            Link::Computed(expr) => node(expr, names)?,
        };
        found = Node::Step(Box::new([found, step]));
    }
    Ok(found)
}

enum Link<'e> {
    Known(Step),
    Computed(&'e Expr),
}

fn known_step(index: &Expr) -> Option<Step> {
    match index {
        Expr::Literal(LiteralValue::Int(index)) => u32::try_from(*index.inner()).ok().map(Step::Element),
        Expr::Literal(LiteralValue::UInt(index)) => u32::try_from(*index.inner()).ok().map(Step::Element),
        Expr::Literal(LiteralValue::String(name)) => Some(Step::Member(name.inner().to_owned())),
        _ => None,
    }
}

fn call(call: &CallExpr, names: &mut dyn Names) -> Compiled {
    if let Some(found) = operator(call, names)? {
        return Ok(found);
    }
    let name = call.func_name.as_str();
    let mut arguments = Vec::with_capacity(call.args.len() + 1);
    for argument in call.target.iter().map(|target| &target.expr).chain(call.args.iter().map(|arg| &arg.expr))
    {
        arguments.push(node(argument, names)?);
    }
    if name == "matches" {
        return matches(arguments);
    }
    let function = Function::named(name, call.target.is_some(), arguments.len())?;
    if let [Node::Constant(Constant::Text(text))] = arguments.as_slice()
        && let Some(constant) = function.constant(text)?
    {
        return Ok(Node::Constant(constant));
    }
    if let (Some(test), [Node::Slot(slot), Node::Constant(Constant::Text(literal))]) =
        (function.text_test(), arguments.as_slice())
    {
        return Ok(Node::Text { slot: *slot, test, literal: literal.clone() });
    }
    Ok(Node::Call(function, arguments.into()))
}

fn matches(mut arguments: Vec<Node>) -> Compiled {
    let (Some(Node::Constant(Constant::Text(pattern))), Some(text), None) =
        (arguments.pop(), arguments.pop(), arguments.pop())
    else {
        return Err("matches takes a text and a pattern that is written out".to_owned());
    };
    let regex = Regex::new(&pattern).map_err(|error| format!("the pattern `{pattern}`: {error}"))?;
    Ok(Node::Matches(Box::new(text), regex))
}

fn operator(call: &CallExpr, names: &mut dyn Names) -> Result<Option<Node>, String> {
    use operators as op;
    let mut arguments = || -> Result<Vec<Node>, String> {
        call.args.iter().map(|argument| node(&argument.expr, names)).collect()
    };
    let mut pair = || -> Result<Box<[Node; 2]>, String> {
        let both: [Node; 2] =
            arguments()?.try_into().map_err(|_| "an operator needs two sides".to_owned())?;
        Ok(Box::new(both))
    };
    Ok(Some(match call.func_name.as_str() {
        op::LOGICAL_AND => Node::And(pair()?),
        op::LOGICAL_OR => Node::Or(pair()?),
        op::IN => contained(*pair()?),
        op::EQUALS => compare(Comparison::Equal, *pair()?)?,
        op::NOT_EQUALS => compare(Comparison::NotEqual, *pair()?)?,
        op::LESS => compare(Comparison::Less, *pair()?)?,
        op::LESS_EQUALS => compare(Comparison::LessOrEqual, *pair()?)?,
        op::GREATER => compare(Comparison::Greater, *pair()?)?,
        op::GREATER_EQUALS => compare(Comparison::GreaterOrEqual, *pair()?)?,
        op::ADD => Node::Arithmetic(Arithmetic::Add, pair()?),
        op::SUBSTRACT => Node::Arithmetic(Arithmetic::Subtract, pair()?),
        op::MULTIPLY => Node::Arithmetic(Arithmetic::Multiply, pair()?),
        op::DIVIDE => Node::Arithmetic(Arithmetic::Divide, Box::new(pair()?.map(with_fraction))),
        op::MODULO => Node::Arithmetic(Arithmetic::Remainder, pair()?),
        op::LOGICAL_NOT | op::NEGATE | op::NOT_STRICTLY_FALSE => {
            let [of]: [Node; 1] =
                arguments()?.try_into().map_err(|_| "an operator needs one value".to_owned())?;
            match (call.func_name.as_str(), of) {
                (op::NEGATE, Node::Constant(Constant::Int(value))) if value != i64::MIN => {
                    Node::Constant(Constant::Int(-value))
                }
                (op::NEGATE, Node::Constant(Constant::Number(text))) => {
                    Node::Constant(Constant::Number(match text.strip_prefix('-') {
                        Some(positive) => positive.into(),
                        None => format!("-{text}").into(),
                    }))
                }
                (op::NEGATE, of) => Node::Negate(Box::new(of)),
                (op::LOGICAL_NOT, of) => Node::Not(Box::new(of)),
                (other, _) => return Err(format!("`{other}` is not available")),
            }
        }
        op::CONDITIONAL => {
            let three: [Node; 3] =
                arguments()?.try_into().map_err(|_| "`? :` needs three values".to_owned())?;
            Node::Conditional(Box::new(three))
        }
        op::OPT_INDEX | op::OPT_SELECT => {
            return Err("optional access is not needed: what is absent is null".to_owned());
        }
        _ => return Ok(None),
    }))
}

/// A number written with a point asks for a quotient with one, though it is kept as a whole number elsewhere: 9 / 2.0 is
/// not 4, but inexact.
fn with_fraction(side: Node) -> Node {
    match side {
        Node::Constant(Constant::Number(text)) if text.parse::<i64>().is_ok() => {
            Node::Constant(Constant::Number(format!("{text}.0").into()))
        }
        other => other,
    }
}

/// Whether one value is in another, in its cheapest form.
fn contained(sides: [Node; 2]) -> Node {
    if let [Node::Slot(slot), Node::List(items)] = &sides {
        let texts = items.iter().map(|item| match item {
            Node::Constant(Constant::Text(text)) => Some(text.clone()),
            _ => None,
        });
        if let Some(texts) = texts.collect() {
            return Node::Among { slot: *slot, texts };
        }
    }
    Node::In(Box::new(sides))
}

/// A comparison, in its cheapest form.
fn compare(comparison: Comparison, sides: [Node; 2]) -> Compiled {
    let equality = match comparison {
        Comparison::Equal => Some(false),
        Comparison::NotEqual => Some(true),
        _ => None,
    };
    if sides.iter().any(|side| matches!(side, Node::List(_))) {
        return Err("a list cannot be compared; use `in` or size()".to_owned());
    }
    match (equality, sides) {
        // `x == null` asks for absence, so the word is turned round.
        (Some(negated), [Node::Constant(Constant::Null), of] | [of, Node::Constant(Constant::Null)]) => {
            Ok(Node::Present { of: Box::new(of), negated: !negated })
        }
        (_, [Node::Constant(Constant::Null), _] | [_, Node::Constant(Constant::Null)]) => {
            Err("null has no order; use == or !=".to_owned())
        }
        (
            Some(negated),
            [Node::Slot(slot), Node::Constant(Constant::Text(text))]
            | [Node::Constant(Constant::Text(text)), Node::Slot(slot)],
        ) => {
            let test = if negated { TextTest::IsNot } else { TextTest::Is };
            Ok(Node::Text { slot, test, literal: text })
        }
        (_, sides) => Ok(Node::Compare(comparison, Box::new(sides))),
    }
}
