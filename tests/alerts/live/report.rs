//! A line for each alert that was seen against its fault, as a table for people.

use super::faults::UNSEEN;
use super::setting::Setting;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What one alert did.
pub struct Line {
    pub alert: String,
    pub fault: String,
    pub fired: Option<Duration>,
    pub cleared: Option<Duration>,
}

#[derive(Default)]
pub struct Report {
    lines: Mutex<Vec<Line>>,
    failures: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Report {
    pub fn enter(&self, line: Line) {
        locked(&self.lines).push(line);
    }

    pub fn fail(&self, what: String) {
        locked(&self.failures).push(what);
    }

    /// Lets a scene play; what it panics with is a failure of the whole.
    pub fn hear(&self, scene: &str, play: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(play)) {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            self.fail(format!("{scene}: {}", said.unwrap_or_default()));
        }
    }

    pub fn is_clean(&self) -> bool {
        locked(&self.failures).is_empty()
    }

    pub fn failures(&self) -> String {
        locked(&self.failures).join("\n")
    }

    /// As a table.
    fn markdown(&self, setting: &Setting) -> String {
        let mut text = String::from(
            "| alert | fault | states within | holds here | fired after | cleared after |\n|---|---|---|---|---|---|\n",
        );
        let mut lines = locked(&self.lines);
        let place = |name: &str| setting.alerts.iter().position(|alert| alert.name == name);
        lines.sort_by_key(|line| place(&line.alert));
        let seconds = |time: Option<Duration>| {
            time.map_or_else(|| "never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()))
        };
        for line in lines.iter() {
            let stated =
                setting.alerts.iter().find(|alert| alert.name == line.alert).expect("an alert of ours");
            let within = match stated.within.as_secs() {
                seconds if seconds < 60 => format!("{seconds} s"),
                seconds => format!("{} min", seconds / 60),
            };
            let (holds, fired, cleared) =
                (setting.held(stated.hold).as_secs_f64(), seconds(line.fired), seconds(line.cleared));
            writeln!(
                text,
                "| {} | {} | {within} | {holds:.1} s | {fired} | {cleared} |",
                line.alert, line.fault
            )
            .expect("text grows");
        }
        for name in missing(setting, &lines) {
            let why = UNSEEN
                .iter()
                .find(|(unseen, _)| *unseen == name)
                .map_or("no scene was played", |(_, why)| why);
            writeln!(text, "\n{name} fires in `promtool test rules` alone: {why}.").expect("text grows");
        }
        text
    }

    /// Every alert has its scene, or there is a reason why not.
    pub fn lacks_nothing(&self, setting: &Setting) {
        let missing = missing(setting, &locked(&self.lines));
        let unseen: Vec<&str> = UNSEEN.iter().map(|(name, _)| *name).collect();
        if missing != unseen {
            self.fail(format!("alerts without a scene: {missing:?}; those known to have none: {unseen:?}"));
        }
    }

    /// To the terminal itself, since the test runner hides what a passing test prints, and into `target/alerts/report.md`.
    pub fn print_and_save(&self, setting: &Setting) {
        let table = self.markdown(setting);
        let factor = setting.factor;
        // Whoever reads it may be gone.
        let _ = writeln!(std::io::stdout().lock(), "\nalerts, {factor} times as fast\n{table}");
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/alerts");
        std::fs::create_dir_all(&folder).expect("a folder for the report");
        std::fs::write(folder.join("report.md"), table).expect("write the report");
    }
}

/// Alerts that nothing was said of, in the order of the files.
fn missing<'a>(setting: &'a Setting, lines: &[Line]) -> Vec<&'a str> {
    let names = setting.alerts.iter().map(|alert| alert.name.as_str());
    names.filter(|name| !lines.iter().any(|line| line.alert == *name)).collect()
}
