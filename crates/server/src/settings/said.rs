//! What was said, and where: by flags, in the environment, in the configuration file. What comes first here counts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::file;
use crate::settings::table::{self, SETTINGS, Setting};

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "PRECEDE_CONFIG";
const CONFIG: &str = "config";

/// The variables of the environment that a node looks at.
pub(crate) fn variables() -> impl Iterator<Item = String> {
    SETTINGS.iter().map(Setting::variable).chain([CONFIG_VARIABLE.to_owned()])
}

/// Where a setting was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// On the command line.
    Flag,
    /// In the environment.
    Environment,
    /// In the configuration file, at this place: `node.toml:3`.
    File(String),
}

/// A setting as it was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// The setting's id.
    pub(crate) id: &'static str,
    /// The text.
    pub(crate) value: String,
    /// Where.
    pub(crate) source: Source,
}

impl Told {
    /// What said it, as an error names it: the flag, the variable, or the place in the file.
    pub(crate) fn name(&self) -> String {
        match &self.source {
            Source::Flag => format!("--{}", self.id.replace('_', "-")),
            Source::Environment => self.id.to_uppercase(),
            Source::File(place) => format!("{place}: {}", self.id),
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=\"{}\"", self.name(), self.value)
    }
}

/// Everything that was said to a node, by the setting's id (`repl_factor`). An empty variable says nothing.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// What was said.
    pub(crate) told: BTreeMap<&'static str, Told>,
    /// The configuration file that was named.
    pub(crate) file: Option<PathBuf>,
}

impl Said {
    /// What was said of a setting.
    pub(crate) fn get(&self, id: &str) -> Option<&Told> {
        self.told.get(id)
    }

    /// Reads the file that was named, if one was: what it says counts where nothing else was said. Returns all that is wrong with it.
    pub(crate) fn read_file(&mut self) -> Vec<String> {
        let Some(path) = &self.file else { return Vec::new() };
        let (told, problems) = file::read(path);
        for told in told {
            self.told.entry(told.id).or_insert(told);
        }
        problems
    }

    /// What is wrong with numbers.
    pub(crate) fn problems(&self) -> Vec<String> {
        let judged = |told: &Told| table::find(told.id).and_then(|setting| setting.judge(told).err());
        self.told.values().filter_map(judged).collect()
    }
}

impl FromArgMatches for Said {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let told = SETTINGS.iter().filter_map(|setting| {
            let value = matches.get_one::<String>(setting.id)?.trim().to_owned();
            let from_env = matches.value_source(setting.id) == Some(ValueSource::EnvVariable);
            let source = if from_env { Source::Environment } else { Source::Flag };
            (!(from_env && value.is_empty())).then_some((setting.id, Told { id: setting.id, value, source }))
        });
        let file = matches.get_one::<String>(CONFIG).filter(|path| !path.is_empty()).map(PathBuf::from);
        Ok(Self { told: told.collect(), file })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Said {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG).long("config").env(CONFIG_VARIABLE).value_name("FILE").help(
            "A TOML file of settings: what it says counts where neither flag nor variable says it [default: none]",
        );
        command.arg(config).args(SETTINGS.iter().map(Setting::arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
