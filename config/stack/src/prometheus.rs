//! A typed client of the stack's Prometheus: whom it asks, by which rules it judges, and what it then says.
//!
//! It asks and judges each second and remembers half an hour. [`Tools`] are the programs that come with it; they need no
//! running stack.
//!
//! Deliberately absent: a client of anybody else's Prometheus.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::dir::write_whole;
use crate::error::Error;
use crate::http;
use crate::options::Options;
use crate::part::{Part, prometheus as part};
use crate::preflight;
use crate::progress::Progress;
use crate::provision;
use crate::stack::Stack;

const REQUEST_MAX: Duration = Duration::from_secs(10);

/// The programs that check rules and routes.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Checks rules and metrics pages, and runs the tests of rules.
    pub promtool: PathBuf,
    /// Checks routes.
    pub amtool: PathBuf,
}

impl Tools {
    /// Fetches them on first use.
    ///
    /// # Errors
    /// All that the machine lacks; a failed download.
    pub fn provision(options: &Options, progress: &dyn Progress) -> Result<Self, Error> {
        let parts = [Part::Prometheus];
        preflight::check(options, &parts)?;
        let software =
            provision::provision(&options.dir, &parts, options.debian_mirror.as_deref(), progress)?;
        let folder = software.prometheus.expect("invariant: it was provisioned just now");
        Ok(Tools { promtool: folder.join("promtool"), amtool: folder.join("amtool") })
    }
}

/// Somebody to ask for metrics.
#[derive(Debug, Clone)]
pub struct Target {
    /// `host:port`; asked for `/metrics`.
    pub address: String,
    /// Labels that all of its series get.
    pub labels: BTreeMap<String, String>,
}

/// An alert that is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The rule's name.
    pub name: String,
    /// Whether it fires; else it is pending.
    pub firing: bool,
    /// All its labels.
    pub labels: BTreeMap<String, String>,
    /// What its annotations became.
    pub annotations: BTreeMap<String, String>,
}

/// One series' newest value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series' labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// The stack's Prometheus.
#[derive(Debug, Clone)]
pub struct Prometheus {
    address: String,
    folder: PathBuf,
}

impl Stack {
    /// The Prometheus of a stack that was brought up with [`Part::Prometheus`].
    ///
    /// # Errors
    /// The stack has none.
    pub fn prometheus(&self) -> Result<Prometheus, Error> {
        let address = self.address(Part::Prometheus).ok_or_else(|| {
            Error::Unusable("this stack was brought up without prometheus; ask for it in its options".into())
        })?;
        Ok(Prometheus { address, folder: self.instance.part_folder(Part::Prometheus) })
    }
}

impl Prometheus {
    /// Asks these from now on and nobody else.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn watch(&self, targets: &[Target]) -> Result<(), Error> {
        let one = |target: &Target| json!({ "targets": [target.address], "labels": target.labels });
        let all = Value::Array(targets.iter().map(one).collect());
        write_whole(&part::targets(&self.folder), &all.to_string())
    }

    /// Judges by these files, by name and text, from now on and by no other; a name ends in `.rules.yaml`.
    ///
    /// # Errors
    /// A file that cannot be written; rules that cannot be read.
    pub fn judge_by(&self, files: &[(&str, String)]) -> Result<(), Error> {
        let folder = part::rules(&self.folder);
        for entry in fs::read_dir(&folder).map_err(Error::io("read", &folder))?.filter_map(Result::ok) {
            fs::remove_file(entry.path()).map_err(Error::io("delete", &entry.path()))?;
        }
        for (name, text) in files {
            write_whole(&folder.join(Path::new(name)), text)?;
        }
        self.ask("POST", "/-/reload").map(|_| ())
    }

    /// Alerts that are pending or firing.
    ///
    /// # Errors
    /// It does not answer.
    pub fn alerts(&self) -> Result<Vec<Alert>, Error> {
        let answer = self.data("/api/v1/alerts")?;
        let alerts = answer["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(alerts
            .iter()
            .map(|alert| Alert {
                name: alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned(),
                firing: alert["state"] == "firing",
                labels: texts(&alert["labels"]),
                annotations: texts(&alert["annotations"]),
            })
            .collect())
    }

    /// What an expression gives now.
    ///
    /// # Errors
    /// It is not one that can be evaluated.
    pub fn query(&self, expression: &str) -> Result<Vec<Sample>, Error> {
        let answer = self.data(&format!("/api/v1/query?query={}", encoded(expression)))?;
        let value = |value: &Value| value[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        if answer["resultType"] == "scalar" {
            return Ok(vec![Sample { labels: BTreeMap::new(), value: value(&answer["result"]) }]);
        }
        let series = answer["result"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(series
            .iter()
            .map(|one| Sample { labels: texts(&one["metric"]), value: value(&one["value"]) })
            .collect())
    }

    /// How many rules it judges by.
    ///
    /// # Errors
    /// It does not answer.
    pub fn rules(&self) -> Result<usize, Error> {
        let answer = self.data("/api/v1/rules")?;
        let groups = answer["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).map(Vec::len).sum())
    }

    /// Who could not be asked, and why.
    ///
    /// # Errors
    /// It does not answer.
    pub fn unreachable(&self) -> Result<Vec<String>, Error> {
        let answer = self.data("/api/v1/targets?state=active")?;
        let targets = answer["activeTargets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let down = targets.iter().filter(|target| target["health"] != "up");
        Ok(down.map(|target| format!("{}: {}", target["scrapeUrl"], target["lastError"])).collect())
    }

    fn data(&self, path: &str) -> Result<Value, Error> {
        let answer = self.ask("GET", path)?;
        let mut answer: Value =
            serde_json::from_str(&answer).map_err(Error::request("read what prometheus answers"))?;
        Ok(answer["data"].take())
    }

    fn ask(&self, method: &str, path: &str) -> Result<String, Error> {
        http::request(&self.address, method, path, "", REQUEST_MAX).map_err(Error::request("ask prometheus"))
    }
}

/// The texts of an object.
fn texts(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(name, text)| (name.clone(), text.as_str().unwrap_or_default().to_owned())).collect()
}

/// As a value in an address: all but letters and digits by its bytes.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Lifetime;
    use crate::progress::Silent;
    use crate::time::Deadline;

    const FIRES_WITHIN: Duration = Duration::from_secs(20);

    #[test]
    fn an_expression_survives_an_address() {
        assert_eq!(encoded("up == 0 or {a=\"é\"}"), "up%20%3D%3D%200%20or%20%7Ba%3D%22%C3%A9%22%7D");
    }

    #[test]
    fn it_asks_whom_it_is_told_and_judges_by_the_rules_it_is_given() {
        let options = Options::from_env("prometheus", Lifetime::Private).unwrap().parts(&[Part::Prometheus]);
        let stack = Stack::up(&options, &Silent).unwrap();
        let prometheus = stack.prometheus().unwrap();
        let own = stack.address(Part::Prometheus).unwrap();
        let labels = BTreeMap::from([("scene".to_owned(), "itself".to_owned())]);
        let rule = "groups:\n  - name: a\n    rules:\n      - alert: Answers\n        expr: up == 1\n";
        prometheus.judge_by(&[("a.rules.yaml", rule.to_owned())]).unwrap();
        prometheus.watch(&[Target { address: own, labels }]).unwrap();
        let firing = || prometheus.alerts().unwrap().into_iter().find(|alert| alert.firing);
        let firing = Deadline::after(FIRES_WITHIN).poll(Duration::from_millis(50), firing);
        let firing = firing.expect("it fires");
        assert_eq!((firing.name.as_str(), firing.labels["scene"].as_str()), ("Answers", "itself"));
        assert_eq!(prometheus.query("sum(up)").unwrap()[0].value, 1.0);
        assert_eq!(prometheus.query("1 + 1").unwrap()[0].value, 2.0);
        assert!(prometheus.query("sum(").unwrap_err().to_string().contains("400"));
        assert!(prometheus.judge_by(&[("b.rules.yaml", "groups: 7".to_owned())]).is_err());
    }
}
