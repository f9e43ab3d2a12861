//! The command line: one file per verb.

mod backtest;
mod backup;
mod bench;
mod check;
mod demo;
mod graphql_schema;
mod health;
mod key;
mod migrate;
mod net;
mod new_chain;
mod openapi;
mod out;
mod publish;
mod reference;
mod restore;
mod sample;
mod serve;
mod server;
mod till;
mod verify;
mod versions;

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::flags::EngineFlags;
use crate::config::{Config, ConfigError, Loaded, flags::Flags};
use crate::domain::api_key::KeyText;

const AFTER_HELP: &str = "\
Without a verb, punchcard serves. New here? Try `punchcard demo`.

Settings come from punchcard.toml, then the environment, then flags; the later wins.
`punchcard serve --print-config` shows the effective values and where each came from.";

/// A self-hosted loyalty event engine: POS events in, rules decide, signed webhooks out.
#[derive(Debug, Parser)]
#[command(name = "punchcard", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    serve: EngineFlags,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Check(check::Check),
    NewChain(new_chain::NewChain),
    Publish(publish::Publish),
    Versions(versions::Versions),
    Diff(versions::Diff),
    Rollback(versions::Rollback),
    Migrate(migrate::Migrate),
    Backtest(backtest::Backtest),
    Verify(verify::Verify),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Health(health::Health),
    Key(key::Key),
    Bench(Box<bench::Bench>),
    GraphqlSchema(graphql_schema::GraphqlSchema),
    Openapi(openapi::Openapi),
    #[command(hide = true)]
    Reference(reference::Reference),
}

/// Why a verb ends with another exit code than 0.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What was asked for makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// It was tried and did not work: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Everything worth saying is on stdout already: exit code 1.
    #[error("see above")]
    Reported,
}

impl Failure {
    /// A failure with all its causes, in one line.
    fn because(doing: &str, error: &dyn Error) -> Self {
        let mut text = format!("{doing}: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            let said = error.to_string();
            // Some libraries repeat their source inside their own text.
            if !text.contains(&said) {
                text.push_str(&format!(": {said}"));
            }
            cause = error.source();
        }
        Self::Failed(text)
    }

    const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) | Self::Reported => 1,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Runs the verb of the process's arguments.
pub fn main() -> ExitCode {
    // clap prints help and usage errors itself, and exits 0 and 2.
    let command_line = CommandLine::parse();
    match run(command_line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Reported) {
                out::error(format_args!("error: {failure}"));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command_line: CommandLine) -> Result<(), Failure> {
    match command_line.verb {
        None => serve::run(&command_line.serve.0),
        Some(Verb::Serve(verb)) => serve::run(&verb.flags.0),
        Some(Verb::Demo(verb)) => demo::run(&verb),
        Some(Verb::Check(verb)) => check::run(&verb),
        Some(Verb::NewChain(verb)) => new_chain::run(&verb),
        Some(Verb::Publish(verb)) => publish::run(&verb),
        Some(Verb::Versions(verb)) => versions::versions(&verb),
        Some(Verb::Diff(verb)) => versions::diff(&verb),
        Some(Verb::Rollback(verb)) => versions::roll_back(&verb),
        Some(Verb::Migrate(verb)) => migrate::run(&verb),
        Some(Verb::Backtest(verb)) => backtest::run(&verb),
        Some(Verb::Verify(verb)) => verify::run(&verb),
        Some(Verb::Backup(verb)) => backup::run(&verb),
        Some(Verb::Restore(verb)) => restore::run(&verb),
        Some(Verb::Health(verb)) => health::run(&verb),
        Some(Verb::Key(verb)) => key::run(&verb),
        Some(Verb::Bench(verb)) => bench::run(&verb),
        Some(Verb::GraphqlSchema(_)) => {
            graphql_schema::run();
            Ok(())
        }
        Some(Verb::Openapi(_)) => {
            openapi::run();
            Ok(())
        }
        Some(Verb::Reference(_)) => {
            reference::run();
            Ok(())
        }
    }
}

/// Loads the configuration; `None` when it was only to be printed, which is done then.
fn configuration(flags: &Flags) -> Result<Option<Loaded>, Failure> {
    let loaded = Config::load(flags)?;
    if flags.print {
        out::text(&loaded.describe());
        return Ok(None);
    }
    crate::telemetry::init_logs(loaded.config.log, &loaded.config.log_level);
    Ok(Some(loaded))
}

/// Opens the database as a verb beside the server does.
fn open_store(config: &Config) -> Result<crate::store::Store, Failure> {
    let key = crate::config::master_key::resolve(config).map_err(|e| Failure::Usage(e.to_string()))?;
    let vault = crate::store::vault::Vault::new(key);
    crate::store::Store::open(&config.database, vault)
        .map_err(|e| Failure::because(&format!("cannot open the database {}", config.database), &e))
}

/// Makes an API key.
fn new_key() -> Result<KeyText, Failure> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|e| Failure::Failed(format!("the system gave no random numbers for a key: {e}")))?;
    Ok(KeyText::of(&random))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::setting::Setting;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn without_a_verb_the_flags_are_those_of_serve() {
        for arguments in
            [vec!["punchcard", "--bind", "[::1]:9"], vec!["punchcard", "serve", "--bind", "[::1]:9"]]
        {
            let flags = match CommandLine::parse_from(arguments) {
                CommandLine { verb: None, serve } => serve,
                CommandLine { verb: Some(Verb::Serve(verb)), .. } => verb.flags,
                other => panic!("{other:?}"),
            };
            assert_eq!(flags.0.values.get(&Setting::Bind).map(String::as_str), Some("[::1]:9"));
        }
    }

    #[test]
    fn a_switch_may_be_said_plainly_or_with_its_value() {
        for (argument, value) in [("--allow-http", "true"), ("--allow-http=false", "false")] {
            let parsed = CommandLine::parse_from(["punchcard", argument]);
            assert_eq!(parsed.serve.0.values.get(&Setting::AllowHttp).map(String::as_str), Some(value));
        }
    }

    #[test]
    fn a_list_may_be_one_flag_or_several() {
        let several = ["punchcard", "--allow-private", "10.0.0.0/8,::1", "--allow-private", "127.0.0.0/8"];
        let parsed = CommandLine::parse_from(several);
        let text = parsed.serve.0.values.get(&Setting::AllowPrivate).map(String::as_str);
        assert_eq!(text, Some("10.0.0.0/8,::1,127.0.0.0/8"));
    }

    #[test]
    fn every_verb_explains_itself() {
        for verb in CommandLine::command().get_subcommands() {
            assert!(verb.get_about().is_some(), "{} has no description", verb.get_name());
            for argument in verb.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {} has no help",
                    verb.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
