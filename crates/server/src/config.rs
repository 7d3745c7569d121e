//! `precede config`: whether the settings are good, and what they are, without starting a node.

use std::process::ExitCode;

use serde_json::{Map, json};

use crate::cli::{ConfigArgs, ConfigCommand};
use crate::exit::{Exit, fail, print_line};
use crate::settings::said::{Said, Source};
use crate::settings::table::{SETTINGS, Setting};
use crate::settings::{Settings, SettingsError};

/// Runs `precede config`.
pub(crate) fn command(args: ConfigArgs) -> ExitCode {
    match args.command {
        ConfigCommand::Check(mut args) => {
            args.said.file = args.file.or(args.said.file);
            match Settings::load(&mut args.said) {
                Ok(_) => {
                    let file = args.said.file.map(|file| format!("{}: ", file.display())).unwrap_or_default();
                    print_line(&format!("{file}the settings are good"), Exit::Done)
                }
                Err(error) => fail(Exit::Usage, error),
            }
        }
        ConfigCommand::Show(mut args) => match effective(&mut args.said) {
            Ok(lines) => print_line(&shown(&lines, args.json), Exit::Done),
            Err(error) => fail(Exit::Usage, error),
        },
    }
}

/// A setting as a node would have it.
struct Effective {
    setting: &'static Setting,
    value: String,
    source: String,
}

/// What `precede serve` would start with.
fn effective(said: &mut Said) -> Result<Vec<Effective>, SettingsError> {
    let settings = Settings::load(said)?;
    let line = |setting: &'static Setting| {
        let told = said.get(setting.id);
        let source = told.map_or("default".to_owned(), |told| match &told.source {
            Source::Flag | Source::Environment => told.name(),
            Source::File(place) => place.clone(),
        });
        let plain = || told.map_or_else(|| setting.default_text(), |told| told.value.clone());
        let value = settings.derived(setting.id).unwrap_or_else(plain);
        Effective { setting, value, source }
    };
    Ok(SETTINGS.iter().map(line).collect())
}

fn shown(lines: &[Effective], as_json: bool) -> String {
    if as_json {
        let object: Map<_, _> = lines
            .iter()
            .map(|line| (line.setting.id.to_owned(), json!({ "value": line.value, "source": line.source })))
            .collect();
        return serde_json::Value::Object(object).to_string();
    }
    let width = lines.iter().map(|line| line.value.chars().count()).max().unwrap_or_default().min(60);
    let line = |line: &Effective| format!("{:<24} {:<width$}  {}", line.setting.id, line.value, line.source);
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}
