//! What the commands print; never a password.

use super::place::{Place, Told, node_urls};
use crate::output::Format;
use anyhow::Result;
use aqueduct_stack::{Options, Part, PartStatus, Stack, commands};
use serde_json::{Map, Value, json};
use std::io::Write;

/// The parts, where everything is, and how to come there.
pub(super) fn whole(
    stack: &Stack,
    place: &Place,
    told: &Told,
    format: Format,
    out: &mut impl Write,
) -> Result<()> {
    let status = stack.status();
    if format == Format::Json {
        let answer = json!({
            "name": stack.name(),
            "folder": stack.folder(),
            "topology": told.topology,
            "parts": status,
            "env": object(told),
            "env_file": place.env_file(),
        });
        return Ok(writeln!(out, "{answer}")?);
    }
    commands::print_table(&status, out)?;
    writeln!(out)?;
    let mut lines: Vec<(String, String)> = Vec::new();
    for (part, url) in Part::NODES.into_iter().zip(node_urls(stack)) {
        let name = stack.node_name(part).unwrap_or_else(|| part.to_string());
        lines.push((name, format!("{url}/  page, /metrics, /readyz")));
    }
    let prometheus = stack.address(Part::Prometheus).unwrap_or_default();
    lines.push(("prometheus".into(), format!("http://{prometheus}/alerts")));
    lines.push(("kafka".into(), format!("{}  TLS, SCRAM-SHA-512", stack.encrypted_brokers())));
    let [primary, standby] = [Part::Timescale, Part::Standby].map(|part| stack.encrypted(part));
    lines.push(("timescale".into(), format!("{primary}  TLS; standby {standby}")));
    let (redis, sentinel) = (stack.redis_primary()?, stack.encrypted(Part::Sentinel));
    let pair = [Part::Redis, Part::Replica].map(|part| stack.encrypted(part));
    let replica = pair.iter().find(|place| **place != redis).cloned().unwrap_or_default();
    lines.push(("redis".into(), format!("{redis}  TLS, users; replica {replica}, sentinel {sentinel}")));
    lines.push(("topology".into(), told.topology.display().to_string()));
    lines.push(("secrets".into(), place.secret("").display().to_string()));
    for (name, text) in &lines {
        writeln!(out, "{name:<11} {text}")?;
    }
    let named = if stack.name() == super::NAME { String::new() } else { format!(" --name {}", stack.name()) };
    writeln!(
        out,
        "\nits variables: eval \"$(aqueduct staging env{named})\"; they are in {} too",
        place.env_file().display()
    )?;
    Ok(writeln!(out, "end it with: aqueduct staging down{named}")?)
}

/// How the parts are.
pub(super) fn parts(stack: &Stack, parts: &[PartStatus], format: Format, out: &mut impl Write) -> Result<()> {
    match format {
        Format::Json => Ok(writeln!(
            out,
            "{}",
            json!({ "name": stack.name(), "folder": stack.folder(), "parts": parts })
        )?),
        Format::Text => Ok(commands::print_table(parts, out)?),
    }
}

/// That there is none.
pub(super) fn nothing(options: &Options, format: Format, out: &mut impl Write) -> Result<()> {
    match format {
        Format::Json => Ok(writeln!(out, "{}", json!({ "name": options.name, "parts": [] }))?),
        Format::Text => Ok(writeln!(out, "{}", commands::not_running(options))?),
    }
}

/// What an operator gets, for a shell or a program.
pub(super) fn environment(told: &Told, format: Format, out: &mut impl Write) -> Result<()> {
    if format == Format::Json {
        return Ok(writeln!(out, "{}", object(told))?);
    }
    for (name, value) in &told.operator {
        writeln!(out, "export {name}={}", commands::quoted(value))?;
    }
    Ok(())
}

fn object(told: &Told) -> Value {
    let pairs = told.operator.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    Value::Object(pairs.collect::<Map<_, _>>())
}
