//! The accidents of expressions in YAML: each line is recognised, and the line proposed in its place is right.

use super::read;
use crate::{Code, Diagnostic};

/// A normalizer with one line more.
fn topology(line: &str) -> String {
    format!(
        "topology: demo\nactors:\n  ticks: {{ kind: kafka_source, topic: md.raw }}\n  trades:\n    kind: normalizer\n    from: ticks\n{line}\n    fields:\n      ts: {{ type: timestamp, expr: record_time }}\n      side: {{ type: text, path: /s }}\n  out: {{ kind: kafka_sink, from: trades, topic: md.out }}\n"
    )
}

fn in_row(line: &str) -> Vec<Diagnostic> {
    read(&topology(&format!("    {line}"))).1
}

/// A field in flow style.
fn in_field(field: &str) -> Vec<Diagnostic> {
    let text = topology("    match: first")
        .replace("side: { type: text, path: /s }", &format!("side: {{ {field} }}"));
    read(&text).1
}

#[track_caller]
fn has(findings: &[Diagnostic], code: Code, proposal: &str) {
    let finding = findings.iter().find(|finding| finding.code == code);
    let finding = finding.unwrap_or_else(|| panic!("no {} among {findings:#?}", code.id()));
    let help = finding.help.as_deref().unwrap_or_default();
    assert!(help.contains(proposal), "{help}");
}

#[test]
fn accidents_in_block_style() {
    has(&in_row("select: !has(msg.a)"), Code::ExpressionIsTag, "'!has(msg.a)'");
    has(&in_row("select: !(msg.a == 1 && msg.b)"), Code::ExpressionIsTag, "'!(msg.a == 1 && msg.b)'");
    has(
        &in_row("select: msg.a < 0 ? msg.b : msg.c"),
        Code::ExpressionHasColon,
        "select: 'msg.a < 0 ? msg.b : msg.c'",
    );
    has(&in_row("select: msg.x == \"a: b\""), Code::TextHasColon, "select: 'msg.x == \"a: b\"'");
    has(&in_row("select: \"x\" in msg.y"), Code::ExpressionLeadingQuote, "select: '\"x\" in msg.y'");
    has(&in_row("select: 'x' in msg.y"), Code::ExpressionLeadingQuote, "select: '''x'' in msg.y'");
    has(
        &in_row("select: msg.x == \"a #1\" && msg.y"),
        Code::ExpressionHasComment,
        "'msg.x == \"a #1\" && msg.y'",
    );
    has(&in_row("require: { ok: msg.x == \"a: b\" }"), Code::TextHasColon, "ok: 'msg.x == \"a: b\"'");
}

#[test]
fn accidents_in_flow_style() {
    has(&in_field("type: text, expr: msg[3]"), Code::ExpressionInFlow, "expr: 'msg[3]'");
    has(
        &in_field("type: text, expr: msg.s.replace(\"a\", \"b\")"),
        Code::ExpressionInFlow,
        "'msg.s.replace(\"a\", \"b\")'",
    );
    has(
        &in_field("type: text, expr: msg.m ? \"s\" : \"b\""),
        Code::ExpressionHasColon,
        "expr: 'msg.m ? \"s\" : \"b\"'",
    );
    has(&in_field("type: text, expr: !has(msg.a)"), Code::ExpressionIsTag, "'!has(msg.a)'");
    has(&in_field("type: text, expr: \"x\" + msg.a"), Code::ExpressionLeadingQuote, "expr: '\"x\" + msg.a'");
    has(&in_field("type: text, path: ${POINTER}"), Code::VariableInFlow, "path: \"${POINTER}\"");
}

#[test]
fn what_is_no_accident_is_none() {
    for line in [
        "select: msg[2] == \"trade\"",
        "select: '\"x\" in msg.y'",
        "select: msg.a.exists(x, x == 1)  # a comment",
    ] {
        assert!(in_row(line).is_empty(), "{line}: {:#?}", in_row(line));
    }
}
