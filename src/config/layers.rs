//! The layers: which text counts for a setting, and where it was given.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::flags::Flags;
use super::setting::Setting;
use super::{ConfigError, VEIL};

/// The file that is read when nobody names another and it exists.
const DEFAULT_FILE: &str = "punchcard.toml";
/// Names another file; as `--config` does.
const FILE_VARIABLE: &str = "PUNCHCARD_CONFIG";

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In the file.
    File {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// In the environment.
    Environment(&'static str),
    /// On the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// For each setting the text that counts.
#[derive(Debug)]
pub(super) struct Layered {
    values: BTreeMap<Setting, (String, Origin)>,
}

impl Layered {
    /// Nothing but defaults.
    pub(super) fn defaults() -> Self {
        let values = Setting::ALL.iter().map(|s| (*s, (s.default().to_owned(), Origin::Default)));
        Self { values: values.collect() }
    }

    /// Lays the file, the environment and the flags over the defaults, in this order.
    pub(super) fn read(
        flags: &Flags,
        environment: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut layered = Self::defaults();
        let named = flags.config.clone().or_else(|| environment(FILE_VARIABLE).map(PathBuf::from));
        if let Some(path) = named.or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists())) {
            layered.read_file(&path)?;
        }
        for setting in Setting::ALL {
            if let Some(text) = environment(setting.environment()) {
                layered.values.insert(*setting, (text, Origin::Environment(setting.environment())));
            }
        }
        for (setting, text) in &flags.values {
            layered.values.insert(*setting, (text.clone(), Origin::Flag(setting.flag())));
        }
        Ok(layered)
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|why| ConfigError::Read { path: path.to_owned(), why })?;
        let at = |offset: usize, problem: String| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_of(&text, offset),
            problem,
        };
        let table = DeTable::parse(&text).map_err(|e| {
            at(e.span().map_or(0, |span| span.start), format!("is not TOML: {}", e.message()))
        })?;
        for (key, value) in table.get_ref() {
            let offset = key.span().start;
            let setting = Setting::ALL.iter().find(|s| s.name() == key.get_ref().as_ref());
            let setting = *setting.ok_or_else(|| at(offset, unknown_key(key.get_ref())))?;
            let given = text_of(value.get_ref()).ok_or_else(|| {
                at(
                    offset,
                    format!("{setting} must be a text, a whole number, true or false, or a list of texts"),
                )
            })?;
            let origin = Origin::File { path: path.to_owned(), line: line_of(&text, offset) };
            self.values.insert(setting, (given, origin));
        }
        Ok(())
    }

    /// Where the value of a setting was given.
    pub(super) fn origin(&self, setting: Setting) -> &Origin {
        &self.given(setting).1
    }

    /// Parses the text that counts.
    pub(super) fn parse<T>(
        &self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (text, origin) = self.given(setting);
        parse(text).map_err(|problem| ConfigError::Value {
            setting,
            origin: origin.clone(),
            // What was meant as the address of a database may hold a password before an `@`.
            given: match setting.is_secret() || text.contains('@') {
                true => format!("`{VEIL}`"),
                false => format!("`{text}`"),
            },
            problem,
        })
    }

    /// Parses the text that counts; an empty one says that there is no value.
    pub(super) fn parse_optional<T>(
        &self,
        setting: Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        match self.given(setting).0.is_empty() {
            true => Ok(None),
            false => self.parse(setting, parse).map(Some),
        }
    }

    fn given(&self, setting: Setting) -> &(String, Origin) {
        self.values.get(&setting).unwrap_or_else(|| unreachable!("every setting has a default"))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

fn unknown_key(key: &str) -> String {
    /// Below it a suggestion is more puzzling than helpful.
    const ALIKE: f64 = 0.7;
    let nearest = Setting::ALL
        .iter()
        .map(|s| (strsim::jaro_winkler(key, s.name()), s.name()))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(alike, _)| *alike >= ALIKE);
    match nearest {
        Some((_, name)) => format!("there is no setting `{key}`; did you mean `{name}`?"),
        None => {
            let all: Vec<_> = Setting::ALL.iter().map(|s| s.name()).collect();
            format!("there is no setting `{key}`; the settings are {}", all.join(", "))
        }
    }
}

/// The text a flag would have: the file and the command line share their parsers.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(on) => Some(on.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}
