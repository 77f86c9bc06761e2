//! What a node would be told that a deployment manifest starts, in the form in which nodes show it.
//!
//! Laid over each other as a start would: environment, then `engine.yaml`, then defaults. What only the cluster knows (the
//! pod's name, a Secret) is named as said elsewhere, and compared with nothing.

use super::config::{ELSEWHERE, Shown, Side, Token};
use crate::exit::RefusedConfiguration;
use crate::output;
use anyhow::{Context, Result, bail};
use aqueduct_topology::manifest::{Manifest, Variable, load_manifest};
use aqueduct_topology::settings::{
    ALL, Layer, Machine, NodeSettings, Origin, Setting, load_settings, resolve, setting_of,
};
use aqueduct_topology::{Source, SourceMap};
use std::path::Path;

const TOKEN: &str = "AQUEDUCT_ADMIN_TOKEN";

/// A manifest, and the file it came from.
struct Said {
    source: Source,
    manifest: Manifest,
}

pub(super) fn read(path: &Path) -> Result<Shown> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("cannot read the manifest `{}`", path.display()))
        .context(RefusedConfiguration)?;
    let (source, not_text) = Source::from_bytes(path.display().to_string(), bytes);
    let found = match not_text {
        Some(diagnostic) => Err(vec![diagnostic]),
        None => load_manifest(&source),
    };
    let manifest = found.map_err(|diagnostics| {
        output::findings(&source, &diagnostics);
        RefusedConfiguration
    })?;
    let Some(manifest) = manifest else {
        return Err(anyhow::anyhow!(
            "`{}` starts no node; give a Compose file, or Kubernetes manifests as `kubectl kustomize` renders them",
            path.display()
        )
        .context(RefusedConfiguration));
    };
    Said { source, manifest }.shown()
}

impl Said {
    fn variable(&self, name: &str) -> Option<&Variable> {
        self.manifest.variables.iter().rev().find(|variable| variable.name == name)
    }

    /// `FILE:LINE NAME`.
    fn place(&self, variable: &Variable) -> String {
        let line = SourceMap::new(&self.source.text).position(variable.span.start).line;
        format!("{}:{line}", self.source.name)
    }

    fn environment(&self) -> Result<Layer> {
        let mut layer = Layer::default();
        for setting in ALL {
            let Some(variable) = self.variable(setting.variable) else { continue };
            let Some(text) = variable.value.as_deref().filter(|text| !text.is_empty()) else { continue };
            match setting_of(setting, text) {
                Ok(value) => layer.set(setting, value),
                Err(why) => {
                    let why = format!("{}: {}: {why}", self.place(variable), setting.variable);
                    return Err(anyhow::anyhow!(why).context(RefusedConfiguration));
                }
            }
        }
        Ok(layer)
    }

    fn settings(&self) -> Result<Layer> {
        let Some(text) = &self.manifest.settings else { return Ok(Layer::default()) };
        let source = Source::new(format!("engine.yaml in {}", self.source.name), text.clone());
        let variable = |name: &str| self.variable(name)?.value.clone();
        let (layer, diagnostics) = load_settings(&source, &variable);
        if !diagnostics.is_empty() {
            output::findings(&source, &diagnostics);
        }
        match layer {
            Some(layer) => Ok(layer),
            None => bail!(RefusedConfiguration),
        }
    }

    fn shown(&self) -> Result<Shown> {
        // Two machines that say nothing are not compared, so any stands for those that carry the manifest out.
        let machine = Machine { name: String::new(), cores: 1 };
        let holds = resolve(&Layer::default(), &self.environment()?, &self.settings()?, &machine);
        let settings =
            ALL.iter().map(|setting| (setting.key.to_owned(), self.side(setting, &holds))).collect();
        let token_file = holds.said("admin.token_file").value.as_ref().map(ToString::to_string);
        let place = self.variable(TOKEN).map(|variable| self.place(variable)).or(token_file);
        Ok(Shown {
            file: Some(self.source.name.clone()),
            settings,
            admin_token: Token { set: place.is_some(), place },
        })
    }

    fn side(&self, setting: &Setting, holds: &NodeSettings) -> Side {
        let said = holds.said(setting.key);
        let value = said.value.as_ref().map(ToString::to_string);
        match (self.variable(setting.variable), said.origin) {
            (Some(variable), Origin::Environment) => {
                Side { value, origin: said.origin.word().to_owned(), place: self.place(variable) }
            }
            (Some(variable), _) if variable.value.is_none() => {
                Side { value: None, origin: ELSEWHERE.to_owned(), place: self.place(variable) }
            }
            (_, Origin::File) => Side {
                value,
                origin: said.origin.word().to_owned(),
                place: format!("engine.yaml in {}", self.source.name),
            },
            _ => Side { value, origin: said.origin.word().to_owned(), place: "default".to_owned() },
        }
    }
}
