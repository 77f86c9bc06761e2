//! Every panel of every dashboard asks its question of the running Prometheus: it must be one that can be answered, and
//! must have an answer where the panel does not say what it shows without one (`noValue`).

use super::setting::Setting;
use super::stage::Stage;
use crate::tools;
use serde_json::Value;

/// What Grafana puts into a question.
const FILLED: [(&str, &str); 5] = [
    ("$__rate_interval", "10s"),
    ("$__range", "60s"),
    ("$topology", ".+"),
    ("$instance", ".+"),
    ("$actor", ".+"),
];

pub fn answer(setting: &Setting) {
    let mut asked = 0;
    let mut wrong = Vec::new();
    for file in aqueduct_config::monitoring::dashboards() {
        let dashboard: Value =
            serde_json::from_str(file.text).unwrap_or_else(|error| panic!("{}: {error}", file.name));
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            let may_be_empty = panel["fieldConfig"]["defaults"]["noValue"].is_string();
            for target in panel["targets"].as_array().into_iter().flatten() {
                let mut question = target["expr"].as_str().expect("a question").to_owned();
                for (variable, value) in FILLED {
                    question = question.replace(variable, value);
                }
                asked += 1;
                match setting.prometheus.query(&question) {
                    Ok(samples) if samples.is_empty() && !may_be_empty => {
                        wrong.push(format!("{}, {title}: no data: {question}", file.name));
                    }
                    Ok(_) => {}
                    Err(error) => wrong.push(format!("{}, {title}: {error}", file.name)),
                }
            }
        }
    }
    assert!(asked > 0, "no dashboard asks anything");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().into_iter().flatten().filter(|panel| panel["type"] != "row")
}

/// Prometheus' own tool finds nothing wrong with a node's page.
pub fn page_is_accepted(stage: &Stage) {
    let (_, page) = stage.with_node(|node| node.get("/metrics")).expect("a page");
    let said = tools::complaints(&page);
    let wrong: Vec<&str> = said.lines().filter(|line| !line.is_empty()).collect();
    assert!(wrong.is_empty(), "promtool check metrics: {}", wrong.join("\n"));
}
