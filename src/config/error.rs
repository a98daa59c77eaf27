//! What can be wrong with settings, in the words of the place where the wrong thing stands.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::layer::Origin;
use super::setting::{Kind, Setting};

/// Why settings cannot be used. Each is the user's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum ConfigError {
    /// A value that its setting does not take.
    #[error("{}: {problem}; such as `{}`", given(.setting, .origin, .text), example(.setting, .origin))]
    Value {
        setting: Setting,
        /// Where the value stands.
        origin: Origin,
        /// The value as it stands there.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key of the file that is no setting.
    #[error("{}:{line}: unknown key `{key}`{}", path.display(), suggestion(.nearest))]
    UnknownKey {
        path: PathBuf,
        line: usize,
        /// As it stands there.
        key: String,
        /// The key that was most likely meant.
        nearest: Option<String>,
    },
    /// The file is no TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax { path: PathBuf, line: usize, message: String },
    /// A file that a setting names cannot be read.
    #[error("cannot read `{}`, named by `{named_by}`: {source}", path.display())]
    Read {
        path: PathBuf,
        /// The flag of the setting that names it.
        named_by: String,
        source: std::io::Error,
    },
    /// A secret that cannot serve. Its text is not here.
    #[error("the cluster's secret in `{place}` {problem}: `lunamoth secret` makes a right one")]
    Secret {
        /// The variable or the file.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Both the variable and a file give the secret.
    #[error("the cluster's secret is given twice, by LUNAMOTH_SECRET and by `{}`, named by `--secret-file`: leave one out", path.display())]
    TwoSecrets { path: PathBuf },
    /// A token of the web monitor that cannot serve. Its text is not here.
    #[error("the token of the web monitor in `{place}` {problem}: `lunamoth secret` makes a right one")]
    Token {
        /// The variable or the file.
        place: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Both the variable and a file give the token.
    #[error("the token of the web monitor is given twice, by LUNAMOTH_WEB_TOKEN and by `{}`, named by `--web-token-file`: leave one out", path.display())]
    TwoTokens { path: PathBuf },
    /// A certificate without its key, or a key without its certificate.
    #[error("`{} {}` needs `{}` beside it: TLS takes a certificate and its key", given.flag(), path.display(), missing.flag())]
    HalfTls {
        given: Setting,
        /// As it was given.
        path: PathBuf,
        missing: Setting,
    },
    /// A previous secret without one that follows it.
    #[error("LUNAMOTH_SECRET_PREVIOUS is accepted only beside the secret that follows it: give that as LUNAMOTH_SECRET or --secret-file")]
    PreviousSecretAlone,
    /// An address for workers that other machines reach, without a secret.
    #[error(
        "`--bind {address}` lets other machines in, and there is no secret to know them by: `lunamoth secret` makes one, which master and \
         workers take from LUNAMOTH_SECRET or --secret-file"
    )]
    OpenWithoutSecret { address: SocketAddr },
    /// A command cannot do without this setting.
    #[error("{what}: `{} {}`, {}, or `{}` in the file of --config", setting.flag(), setting.example(), setting.variable(), setting.key())]
    Missing {
        setting: Setting,
        /// What it is wanted for.
        what: &'static str,
    },
}

/// What is odd, but does not keep a run from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the text of a warning says what its fields are")]
pub enum Warning {
    /// A variable `LUNAMOTH_*` that is no setting.
    UnknownVariable {
        name: String,
        /// The variable that was most likely meant.
        nearest: Option<String>,
    },
    /// A value was taken from one of Locust's variables.
    LocustVariable {
        name: &'static str,
        value: String,
        /// The setting that it gave.
        setting: Setting,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownVariable { name, nearest } => {
                write!(f, "the environment variable {name} is no setting of this version and is ignored{}", suggestion(nearest))
            }
            Self::LocustVariable { name, value, setting } => {
                write!(f, "{} = {value}, taken from {name}; {} and {} come before it", setting.key(), setting.flag(), setting.variable())
            }
        }
    }
}

fn suggestion(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |word| format!("; did you mean `{word}`?"))
}

/// The setting and its value, as the user wrote them.
fn given(setting: &Setting, origin: &Origin, text: &str) -> String {
    match origin {
        Origin::Flag => format!("`{} {text}`", setting.flag()),
        Origin::Variable(name) => format!("`{name}={text}`"),
        Origin::File { path, line } => format!("{}:{line}: `{} = {text}`", path.display(), setting.key()),
    }
}

/// The same with a right value.
fn example(setting: &Setting, origin: &Origin) -> String {
    match origin {
        Origin::Flag if setting.row().kind == Kind::Switch => setting.flag(),
        Origin::Flag => format!("{} {}", setting.flag(), setting.example()),
        Origin::Variable(name) => format!("{name}={}", setting.example()),
        Origin::File { .. } => setting.example_in_file(),
    }
}
