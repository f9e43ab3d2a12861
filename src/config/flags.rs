//! The flags, made from the table of settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::setting::{Scope, Setting, Shape};

const CONFIG: &str = "config";
const PRINT: &str = "print-config";

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// The settings given.
    pub values: BTreeMap<Setting, String>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--print-config`
    pub print: bool,
}

/// The flags of verbs that run the engine.
#[derive(Debug, Clone, Default)]
pub struct EngineFlags(pub Flags);

/// The flags of verbs that only open the database.
#[derive(Debug, Clone, Default)]
pub struct StoreFlags(pub Flags);

impl Flags {
    fn augment(command: Command, accepted: impl Fn(Scope) -> bool) -> Command {
        let command = command
            .next_help_heading("Configuration")
            .arg(
                Arg::new(CONFIG)
                    .long(CONFIG)
                    .value_name("FILE")
                    .value_parser(clap::value_parser!(PathBuf))
                    .help("The configuration file [env: PUNCHCARD_CONFIG] [default: punchcard.toml, if it exists]"),
            )
            .arg(
                Arg::new(PRINT)
                    .long(PRINT)
                    .action(ArgAction::SetTrue)
                    .help("Print the effective configuration and where each value came from, and exit"),
            );
        Setting::ALL
            .iter()
            .filter(|setting| accepted(setting.scope()))
            .fold(command, |command, setting| command.arg(arg(*setting)))
    }

    fn from(matches: &ArgMatches, accepted: impl Fn(Scope) -> bool) -> Self {
        let settings = Setting::ALL.iter().filter(|setting| accepted(setting.scope()));
        let given = |setting: &Setting| {
            let texts: Vec<_> = matches.get_many::<String>(setting.flag())?.map(String::as_str).collect();
            Some((*setting, texts.join(",")))
        };
        Self {
            values: settings.filter_map(given).collect(),
            config: matches.get_one(CONFIG).cloned(),
            print: matches.get_flag(PRINT),
        }
    }
}

fn arg(setting: Setting) -> Arg {
    let default = match setting.default() {
        "" => String::new(),
        text => format!(" [default: {text}]"),
    };
    let help = format!("{} [env: {}]{default}", setting.help(), setting.environment());
    let arg = Arg::new(setting.flag()).long(setting.flag()).help(help);
    match setting.shape() {
        Shape::Value(name) => arg.value_name(name),
        Shape::List(name) => arg.value_name(name).action(ArgAction::Append),
        Shape::Switch => {
            arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
        }
    }
}

macro_rules! flags_of_scope {
    ($name:ident, $accepted:expr) => {
        impl Args for $name {
            fn augment_args(command: Command) -> Command {
                Flags::augment(command, $accepted)
            }

            fn augment_args_for_update(command: Command) -> Command {
                Self::augment_args(command)
            }
        }

        impl FromArgMatches for $name {
            fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
                Ok(Self(Flags::from(matches, $accepted)))
            }

            fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
                *self = Self::from_arg_matches(matches)?;
                Ok(())
            }
        }
    };
}

flags_of_scope!(EngineFlags, |_| true);
flags_of_scope!(StoreFlags, |scope| scope == Scope::Store);
