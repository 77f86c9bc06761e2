//! From the terms of an expression to the types of its value, with a finding for whatever never has one.
//!
//! Invariant: a term that is refused fits everywhere, so that one mistake gives one finding.

use super::functions::{self, FOREIGN, Function, Gives, MACROS, Style};
use super::scope::Scope;
use super::types::Types;
use super::{arithmetic, not_a_condition};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::lower::{Context, Loop, LoopKind, Term, TermKind};
use crate::syntax::shortened;
use crate::{Span, Spanned};

/// The types of a value, and those of its elements where it is a list.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) of: Types,
    elements: Types,
}

impl From<Types> for Type {
    fn from(of: Types) -> Self {
        Self { of, elements: Types::ANY }
    }
}

/// One walk over an expression.
pub(super) struct Inference<'a> {
    cx: &'a Context<'a>,
    scope: &'a Scope<'a>,
    secret: bool,
    silent: bool,
    /// The names that loops give their elements.
    locals: Vec<(String, Types)>,
}

impl<'a> Inference<'a> {
    pub(super) fn new(cx: &'a Context<'a>, scope: &'a Scope<'a>, secret: bool) -> Self {
        Self { cx, scope, secret, silent: false, locals: Vec::new() }
    }

    /// A walk that says nothing: for a part that was walked before.
    pub(super) fn silent(cx: &'a Context<'a>, scope: &'a Scope<'a>, secret: bool) -> Self {
        Self { silent: true, ..Self::new(cx, scope, secret) }
    }

    /// The types of a term's value.
    pub(super) fn of(&mut self, term: &Term) -> Type {
        let types = match &term.kind {
            TermKind::Null => Types::NULL,
            TermKind::Bool(_) => Types::BOOL,
            TermKind::Int(_) => Types::INT,
            // `2.0` is kept as 2.
            TermKind::Number(number) if number.to_string().parse::<i64>().is_ok() => Types::NUMBER,
            TermKind::Number(_) => Types::FRACTION,
            TermKind::Text(_) => Types::TEXT,
            TermKind::Name(name) => self.name(name, term.span),
            TermKind::Member(of, name) => self.member(of, name),
            TermKind::Index(pair) => self.index(pair),
            TermKind::Has(of) => {
                self.of(of);
                Types::BOOL
            }
            TermKind::List(items) => {
                let elements = items.iter().fold(Types::NONE, |found, item| found | self.of(item).of);
                return Type { of: Types::LIST, elements };
            }
            TermKind::Not(of) => {
                let found = self.condition(of, "`!`");
                if found.present() == Types::BOOL { Types::BOOL } else { Types::BOOL | Types::NULL }
            }
            TermKind::Negate(of) => self.negate(of, term.span),
            TermKind::Logic(sign, sides) => {
                for side in sides.iter() {
                    self.condition(side, &format!("`{sign}`"));
                }
                Types::BOOL
            }
            TermKind::Conditional(parts) => {
                self.condition(&parts[0], "`? :`");
                let (yes, no) = (self.of(&parts[1]), self.of(&parts[2]));
                return Type { of: yes.of | no.of, elements: yes.elements | no.elements };
            }
            TermKind::Compare(sign, sides) => self.compare(sign, sides, term.span),
            TermKind::In(sides) => self.within(sides, term.span),
            TermKind::Arithmetic(sign, sides) => self.arithmetic(sign, sides, term.span),
            TermKind::Call { name, target, arguments } => {
                return self.call(name, target.as_deref(), arguments);
            }
            TermKind::Loop(each) => return self.each(each),
            TermKind::Refused => Types::ANY,
        };
        types.into()
    }

    fn report(&self, finding: Diagnostic) {
        if !self.silent {
            self.cx.report(finding);
        }
    }

    fn name(&mut self, name: &str, span: Span) -> Types {
        if let Some((_, types)) = self.locals.iter().rfind(|(local, _)| local == name) {
            return *types;
        }
        self.scope.name(self.cx, &Spanned::new(name.to_owned(), span), self.secret)
    }

    fn member(&mut self, of: &Term, name: &Spanned<String>) -> Types {
        if matches!(&of.kind, TermKind::Name(root) if self.scope.is_headers(root) && !self.is_local(root)) {
            return Types::TEXT | Types::NULL;
        }
        let found = self.of(of).of;
        self.step(of, found, Types::PART, &format!("`{}`", shortened(&name.value)))
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|(local, _)| local == name)
    }

    fn index(&mut self, pair: &[Term; 2]) -> Types {
        let found = self.of(&pair[0]);
        let step = self.of(&pair[1]).of;
        let whole = Types::INT | Types::NUMBER | Types::TEXT;
        if !step.present().is_empty() && !step.meets(whole) {
            let message =
                format!("an element is named by its position or name, and this is {}", step.words());
            let finding = Diagnostic::error(Code::NeverCombines, pair[1].span, message).label(step.words());
            self.report(finding.help("write a whole number from 0, or a text"));
        }
        let of_message = self.step(&pair[0], found.of, Types::PART | Types::LIST, "an element");
        if found.of.meets(Types::LIST) { of_message | found.elements | Types::NULL } else { of_message }
    }

    /// A step into a value, which leads somewhere only in what `opens`.
    fn step(&self, of: &Term, found: Types, opens: Types, what: &str) -> Types {
        if found.present().is_empty() || found.meets(opens) {
            return Types::MESSAGE;
        }
        let message = format!("{} has no members, so {what} is always null", found.words());
        let finding = Diagnostic::error(Code::NeverCombines, of.span, message).label(found.words());
        self.report(
            finding.help("name the place in the message instead: `msg.a.b`; a field is a single value"),
        );
        Types::ANY
    }

    /// A part that decides something.
    fn condition(&mut self, term: &Term, what: &str) -> Types {
        let found = self.of(term).of;
        if !found.meets(Types::BOOL) {
            self.report(not_a_condition(term.span, what, found));
        }
        found
    }

    fn negate(&mut self, of: &Term, span: Span) -> Types {
        let found = self.of(of).of;
        let result = arithmetic::negated(found);
        if !found.present().is_empty() && result.present().is_empty() {
            let message = format!("`-` never has a result for {}", found.words());
            let finding = Diagnostic::error(Code::NeverCombines, span, message).also(of.span, found.words());
            self.report(finding.help("only numbers and durations have a sign"));
            return Types::ANY;
        }
        result
    }

    fn arithmetic(&mut self, sign: &str, sides: &[Term; 2], span: Span) -> Types {
        let (mut left, mut right) = (self.of(&sides[0]).of, self.of(&sides[1]).of);
        if sign == "/" {
            // Written with a point, a number asks for a quotient with one: 9 / 2.0 is not 4.
            let fraction = |term: &Term, types| match term.kind {
                TermKind::Number(_) => Types::FRACTION,
                _ => types,
            };
            (left, right) = (fraction(&sides[0], left), fraction(&sides[1], right));
        }
        let nothing = |types: Types| types.present().is_empty();
        let result = arithmetic::result(sign, left, right);
        let zero = matches!(sides[1].kind, TermKind::Int(0))
            || matches!(sides[1].kind, TermKind::Number(number) if number == 0.0);
        let (message, help) = if nothing(left) || nothing(right) {
            (format!("`{sign}` of null is always null"), "leave it out, or write `null` alone")
        } else if nothing(result) {
            let message = format!("`{sign}` never has a result for {} and {}", left.words(), right.words());
            (message, combine_help(sign, left | right))
        } else if zero && matches!(sign, "/" | "%") {
            (format!("`{sign}` by zero never has a result"), "divide by what is not zero")
        } else {
            return result;
        };
        let finding = Diagnostic::error(Code::NeverCombines, span, message)
            .also(sides[0].span, left.words())
            .also(sides[1].span, right.words());
        self.report(finding.help(help));
        Types::ANY
    }

    fn compare(&mut self, sign: &str, sides: &[Term; 2], span: Span) -> Types {
        let (left, right) = (self.of(&sides[0]).of, self.of(&sides[1]).of);
        let equality = matches!(sign, "==" | "!=");
        let null = |term: &Term| matches!(term.kind, TermKind::Null);
        if sides.iter().any(|side| matches!(side.kind, TermKind::List(_))) {
            let message = "a list that is written out cannot be compared";
            let finding = Diagnostic::error(Code::NotAvailable, span, message);
            self.report(finding.help("ask for an element with `in`, or for the length with `size(..)`"));
        } else if sides.iter().any(null) {
            self.compare_null(sign, sides, left & right, span, equality);
        } else if !left.comparable(right) && !(left & right).meets(Types::PART) {
            let message = format!(
                "{} and {} are never equal and have no order: `{sign}` is always false",
                left.words(),
                right.words()
            );
            let finding = Diagnostic::error(Code::KnownOutcome, span, message)
                .also(sides[0].span, left.words())
                .also(sides[1].span, right.words());
            self.report(finding.help(compare_help(sides, left, right)));
        }
        Types::BOOL
    }

    fn compare_null(&self, sign: &str, sides: &[Term; 2], both: Types, span: Span, equality: bool) {
        if !equality {
            let finding = Diagnostic::error(Code::NotAvailable, span, "null has no order");
            return self
                .report(finding.help("ask for presence with `!= null`, or for absence with `== null`"));
        }
        if !both.meets(Types::NULL) {
            let other = if matches!(sides[0].kind, TermKind::Null) { &sides[1] } else { &sides[0] };
            let message = format!("this is never null, so `{sign} null` is always {}", sign == "!=");
            let finding = Diagnostic::warning(Code::KnownOutcome, span, message);
            self.report(finding.also(other.span, "always there").help("leave the comparison out"));
        }
    }

    fn within(&mut self, sides: &[Term; 2], span: Span) -> Types {
        let (wanted, list) = (self.of(&sides[0]).of, self.of(&sides[1]));
        let elements = match (list.of.meets(Types::LIST), list.of.meets(Types::PART)) {
            (false, false) => Types::NONE,
            (true, false) => list.elements,
            (_, true) => Types::MESSAGE | list.elements,
        };
        let empty = matches!(&sides[1].kind, TermKind::List(items) if items.is_empty());
        if !empty && (list.of.present().is_empty() || wanted.comparable(elements)) {
            return Types::BOOL;
        }
        let (message, help) = match elements.is_empty() {
            _ if empty => {
                ("nothing is in an empty list".to_owned(), "write its elements, or leave the condition out")
            }
            true if list.of.meets(Types::TEXT) => (
                "`in` looks through a list or a part of the message, and this is text: it is always false"
                    .to_owned(),
                "ask a text with `text.contains(\"part\")`",
            ),
            true => (
                format!(
                    "`in` looks through a list or a part of the message, and this is {}",
                    list.of.words()
                ),
                "compare it with `==`",
            ),
            false => (
                format!(
                    "{} is never equal to an element that is {}: `in` is always false",
                    wanted.words(),
                    elements.words()
                ),
                "write the elements as the value is: texts in quotes, numbers without",
            ),
        };
        let finding =
            Diagnostic::error(Code::KnownOutcome, span, message).also(sides[0].span, wanted.words());
        self.report(finding.help(help));
        Types::BOOL
    }

    fn each(&mut self, each: &Loop) -> Type {
        let range = self.of(&each.range);
        if !range.of.present().is_empty() && !range.of.meets(Types::LIST | Types::PART) {
            let message = format!(
                "only a list or a part of the message has elements, and this is {}",
                range.of.words()
            );
            let finding =
                Diagnostic::error(Code::NeverCombines, each.range.span, message).label(range.of.words());
            self.report(finding.help("name the list in the message: `msg.items`"));
        }
        let message = if range.of.meets(Types::PART) { Types::MESSAGE } else { Types::NONE };
        let own = if range.of.meets(Types::LIST) { range.elements } else { Types::NONE };
        let element = if (message | own).is_empty() { Types::ANY } else { message | own };
        self.locals.push((each.name.clone(), element));
        if let Some(condition) = &each.condition {
            self.condition(condition, "this condition");
        }
        let body = match each.kind {
            LoopKind::Question => {
                self.condition(&each.body, "this condition");
                Type::from(Types::BOOL)
            }
            LoopKind::Collect => {
                let of = if range.of == Types::LIST { Types::LIST } else { Types::LIST | Types::NULL };
                Type { of, elements: self.of(&each.body).of }
            }
        };
        self.locals.pop();
        body
    }

    fn call(&mut self, name: &Spanned<String>, target: Option<&Term>, arguments: &[Term]) -> Type {
        let all: Vec<&Term> = target.into_iter().chain(arguments).collect();
        let Some(function) = functions::function(&name.value) else {
            let macros = MACROS.iter().find(|(word, _)| *word == name.value);
            match macros {
                Some((word, shape)) => self.wrong_call(name, format!("`{word}` is written `{shape}`")),
                None => self.unknown_function(name),
            }
            // What a macro binds is no name here, so only plain parts are looked at.
            if macros.is_none() {
                all.iter().for_each(|argument| _ = self.of(argument));
            }
            return Types::ANY.into();
        };
        let types: Vec<Types> = all.iter().map(|argument| self.of(argument).of).collect();
        if let Some(why) = misuse(function, target.is_some(), all.len()) {
            self.wrong_call(name, why);
            return Types::ANY.into();
        }
        let mut refused = false;
        for ((argument, found), takes) in all.iter().zip(&types).zip(function.takes) {
            if !found.present().is_empty() && !found.meets(takes.types) {
                let message =
                    format!("`{}` takes {}, and this is {}", function.name, takes.words, found.words());
                let finding =
                    Diagnostic::error(Code::NeverCombines, argument.span, message).label(found.words());
                self.report(finding.help(argument_help(takes.types, *found)));
                refused = true;
            }
        }
        self.literals(function, &all);
        if refused { Types::ANY.into() } else { gives(function, &types) }
    }

    /// What is written out is known, and so is what becomes of it.
    fn literals(&self, function: &Function, arguments: &[&Term]) {
        match arguments {
            [Term { kind: TermKind::Text(text), span }] if !functions::converts(function.name, text) => {
                let shown =
                    if self.secret { "this text".to_owned() } else { format!("`{}`", shortened(text)) };
                let message = format!("{shown} never becomes what `{}` makes of it", function.name);
                let finding = Diagnostic::error(Code::NeverCombines, *span, message);
                self.report(finding.help(format!("it takes {}", example(function.name))));
            }
            [_, pattern] if function.name == "matches" => match &pattern.kind {
                TermKind::Text(text) => {
                    if let Err(error) = regex::Regex::new(text) {
                        let why = error.to_string();
                        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                        let message = format!("the pattern does not parse: {}", shortened(why));
                        let finding = Diagnostic::error(Code::WrongCall, pattern.span, message);
                        self.report(
                            finding.help("a backslash is doubled in CEL: `\"\\\\d+\"`, or `r\"\\d+\"`"),
                        );
                    }
                }
                _ => {
                    let message = "`matches` takes a pattern that is written out";
                    let finding = Diagnostic::error(Code::WrongCall, pattern.span, message);
                    self.report(
                        finding.help("write the pattern as a text; compare values with `==` or `contains`"),
                    );
                }
            },
            _ => {}
        }
    }

    fn wrong_call(&self, name: &Spanned<String>, message: String) {
        let page = "`aqueduct explain T066` has the ways to call";
        self.report(Diagnostic::error(Code::WrongCall, name.span, message).help(page));
    }

    fn unknown_function(&self, name: &Spanned<String>) {
        if self.secret {
            let message = "the expression calls an unknown function";
            let finding = Diagnostic::error(Code::UnknownFunction, name.span, message);
            return self.report(finding.help("part of it comes from the environment: look there"));
        }
        let foreign = FOREIGN.iter().find(|(word, _)| *word == name.value).map(|(_, ours)| *ours);
        let help = match foreign.or_else(|| nearest(&name.value, functions::names())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the functions are {}", functions::names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("there is no function `{}`", shortened(&name.value));
        self.report(Diagnostic::error(Code::UnknownFunction, name.span, message).help(help));
    }
}

/// Why a call with so many arguments, a method's own value among them, is none.
fn misuse(function: &Function, method: bool, count: usize) -> Option<String> {
    let name = function.name;
    if method && function.style == Style::Call {
        return Some(format!("`{name}` is written `{name}(x)`, not `x.{name}()`"));
    }
    if !method && function.style == Style::Method {
        return Some(format!("`{name}` is written `x.{name}(..)`, not `{name}(x, ..)`"));
    }
    if (function.least..=function.takes.len()).contains(&count) {
        return None;
    }
    let own = usize::from(method);
    let (least, most, count) = (function.least - own, function.takes.len() - own, count - own);
    let wanted = match (least, most) {
        (0, 0) => "no argument".to_owned(),
        (1, 1) => "one argument".to_owned(),
        (least, most) if least == most => format!("{least} arguments"),
        (least, most) => format!("{least} or {most} arguments"),
    };
    Some(format!("`{name}` takes {wanted}, and here are {count}"))
}

fn gives(function: &Function, arguments: &[Types]) -> Type {
    let subject = arguments.first().copied().unwrap_or(Types::ANY);
    let null = if arguments.iter().any(|types| types.meets(Types::NULL)) { Types::NULL } else { Types::NONE };
    match function.gives {
        Gives::Types(types) => (types | null).into(),
        Gives::Answer => Types::BOOL.into(),
        Gives::Same => (subject & (Types::NUMBERS | Types::NULL)).into(),
        Gives::Texts => Type { of: Types::LIST | null, elements: Types::TEXT },
    }
}

fn combine_help(sign: &str, both: Types) -> &'static str {
    let is = |types: Types| both.meets(types);
    if is(Types::TEXT) && is(Types::NUMBERS) {
        "make a number of the text with `decimal(..)`, `int(..)` or `double(..)`, or text of the number with `string(..)`"
    } else if is(Types::TEXT) {
        "texts are joined with `+`; for numbers in texts write `decimal(..)`, `int(..)` or `double(..)`"
    } else if is(Types::DECIMAL) && is(Types::DOUBLE) {
        "bring both to one type: `double(..)` around the decimal, or `decimal(..)` around the double"
    } else if both.present() & Types::NUMBERS == both.present() {
        "decimals are exact, and only add: write `double(..)` around each side"
    } else if is(Types::TIME | Types::DURATION) && is(Types::NUMBERS) {
        "a time moves by a duration, such as `duration(\"5s\")`"
    } else if is(Types::TIME) && sign == "+" {
        "times are subtracted; a time moves by a duration, such as `duration(\"5s\")`"
    } else {
        "numbers combine with numbers, texts with texts, times with durations"
    }
}

fn compare_help(sides: &[Term; 2], left: Types, right: Types) -> &'static str {
    let both = left | right;
    let is = |types: Types| both.meets(types);
    let text = sides.iter().find_map(|side| match &side.kind {
        TermKind::Text(text) => Some(text.as_str()),
        _ => None,
    });
    let quoted = |fits: fn(&str) -> bool| text.is_some_and(fits);
    if is(Types::TIME) && is(Types::NUMBERS | Types::TEXT) {
        "make a timestamp of the other side: `timestamp(..)` reads RFC 3339 text, or seconds"
    } else if is(Types::DURATION) {
        "a duration is compared with a duration, such as `duration(\"5s\")`"
    } else if is(Types::NUMBERS) && quoted(|text| text.parse::<f64>().is_ok()) {
        "leave the quotes away: a number is compared with a number"
    } else if is(Types::BOOL) && quoted(|text| matches!(text, "true" | "false")) {
        "leave the quotes away: `true` and `false` are words"
    } else if is(Types::NUMBERS) && is(Types::TEXT) {
        "compare text with text (in quotes), or make a number of the text: `decimal(..)`, `int(..)`"
    } else if is(Types::LIST) {
        "ask for an element with `in`, or for the length with `size(..)`"
    } else {
        "only values of one type are compared; convert one of the two"
    }
}

fn argument_help(takes: Types, found: Types) -> &'static str {
    if takes == Types::TEXT && found.meets(Types::NUMBERS | Types::BOOL | Types::TIME) {
        "make text of it with `string(..)`"
    } else if takes == Types::TIME {
        "make a timestamp of it with `timestamp(..)`"
    } else if takes.meets(Types::NUMBERS) && found.meets(Types::TEXT) {
        "make a number of it with `decimal(..)`, `int(..)` or `double(..)`"
    } else if found.meets(Types::DOUBLE) && takes.meets(Types::TIME) {
        "make a whole number of it with `int(..)`"
    } else {
        "give it something else, or leave the call out"
    }
}

/// A text that the conversion takes.
fn example(name: &str) -> &'static str {
    match name {
        "timestamp" => "`2026-01-01T00:00:00Z`, with its offset",
        "duration" => "`1h30m`, `5s`, `250ms`: hours, minutes, seconds and below",
        "bool" => "`true` or `false`",
        "int" | "uint" => "a whole number of 64 bits",
        _ => "a number",
    }
}
