//! What the places say on this machine, here and now.

use super::{Config, refused};
use crate::environment::{host_name, variable};
use crate::exit::RefusedConfiguration;
use crate::output;
use anyhow::{Context, Result};
use aqueduct_topology::settings::{ALL, Layer, Machine, Origin, Setting, load_settings, resolve, setting_of};
use aqueduct_topology::{NodeSettings, Source, SourceMap};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// Where a settings file is looked for when nobody names one.
const PLACES: [&str; 2] = ["engine.yaml", "/etc/aqueduct/engine.yaml"];
/// The token itself.
const TOKEN: &str = "AQUEDUCT_ADMIN_TOKEN";

/// The settings that hold for a node started here, and who said each.
pub(crate) struct Here {
    pub(crate) holds: NodeSettings,
    /// The file that was read, if there is one.
    file: Option<(Source, Layer)>,
}

impl Here {
    /// Reads the file that `config` leads to, and the environment; `flags` are laid over them.
    pub(crate) fn read(config: &Config, flags: Layer) -> Result<Self> {
        let file = config.find().map(|path| read(&path)).transpose()?;
        let nothing = Layer::default();
        let said = file.as_ref().map_or(&nothing, |(_, layer)| layer);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let machine = Machine { name: host_name(), cores: u32::try_from(cores).unwrap_or(u32::MAX) };
        let holds = resolve(&flags, &environment()?, said, &machine);
        Ok(Self { holds, file })
    }

    /// The bearer token of commands: the flag's file, the variable, the file of variable or settings.
    pub(crate) fn token(&self) -> Result<Option<SecretString>> {
        if self.token_place() == Some(TOKEN.to_owned()) {
            return Ok(variable(TOKEN).map(Into::into));
        }
        self.holds.admin_token_file().map(|path| read_token(&path)).transpose()
    }

    /// Where the token is; none if there is none.
    pub(crate) fn token_place(&self) -> Option<String> {
        let said = self.holds.said("admin.token_file");
        match variable(TOKEN) {
            Some(_) if said.origin != Origin::Flag => Some(TOKEN.to_owned()),
            _ => said.value.as_ref().map(ToString::to_string),
        }
    }

    /// Who said a setting: a flag, a variable, a line, or `default`.
    pub(crate) fn place(&self, setting: &Setting) -> String {
        match self.holds.said(setting.key).origin {
            Origin::Flag => format!("--{}", setting.flag),
            Origin::Environment => setting.variable.to_owned(),
            Origin::File => self.line(setting),
            Origin::Default => "default".to_owned(),
        }
    }

    fn line(&self, setting: &Setting) -> String {
        let Some((source, layer)) = &self.file else { return "file".to_owned() };
        let start = layer.span(setting.key).map_or(0, |span| span.start);
        format!("{}:{}", source.name, SourceMap::new(&source.text).position(start).line)
    }

    /// The file that was read.
    pub(crate) fn file(&self) -> Option<&str> {
        self.file.as_ref().map(|(source, _)| source.name.as_str())
    }

    /// Every setting with its value and who said it, as a node shows it: no secret, though whether there is one.
    pub(crate) fn shown(&self) -> Value {
        let settings: Map<String, Value> = ALL
            .iter()
            .map(|setting| {
                let said = self.holds.said(setting.key);
                let value = said.value.as_ref().map(ToString::to_string);
                let entry =
                    json!({ "value": value, "origin": said.origin.word(), "place": self.place(setting) });
                (setting.key.to_owned(), entry)
            })
            .collect();
        let token = self.token_place();
        json!({
            "file": self.file(),
            "settings": settings,
            "admin_token": { "set": token.is_some(), "place": token },
        })
    }
}

impl Config {
    /// The file somebody names, else the first that is there.
    fn find(&self) -> Option<PathBuf> {
        let named = self.config.clone().or_else(|| variable("AQUEDUCT_CONFIG").map(PathBuf::from));
        named.or_else(|| PLACES.iter().map(PathBuf::from).find(|place| place.is_file()))
    }
}

fn read(path: &Path) -> Result<(Source, Layer)> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the settings `{}`", path.display()))
        .context(RefusedConfiguration)?;
    let (source, not_text) = Source::from_bytes(path.display().to_string(), bytes);
    let (layer, mut diagnostics) = match not_text {
        Some(diagnostic) => (None, vec![diagnostic]),
        None => load_settings(&source, &variable),
    };
    if !diagnostics.is_empty() {
        output::findings(&source, &std::mem::take(&mut diagnostics));
    }
    let layer = layer.ok_or(RefusedConfiguration)?;
    Ok((source, layer))
}

fn environment() -> Result<Layer> {
    let mut layer = Layer::default();
    for setting in ALL {
        if let Some(text) = variable(setting.variable) {
            let value =
                setting_of(setting, &text).map_err(|why| refused(format!("{}: {why}", setting.variable)))?;
            layer.set(setting, value);
        }
    }
    Ok(layer)
}

fn read_token(path: &Path) -> Result<SecretString> {
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .with_context(|| format!("cannot read the admin token `{}`", path.display()))
        .context(RefusedConfiguration)?;
    let token = text.trim();
    if token.is_empty() {
        return Err(refused(format!("the admin token `{}` is empty", path.display())));
    }
    Ok(token.to_owned().into())
}
