//! What is meant: every setting, from its default, the file of `--config`, the environment and the flags, checked once.
//!
//! Settings are one list of rows (`rows` and `plan/settings.rs`); each has a flag, a variable `LUNAMOTH_*` and a key in the file, and one
//! reader for all three. Secrets alone stand outside it: they have a variable, or a file that a setting names. Resolving is pure; [`load()`] is
//! the thin shell that reads the environment and files. What was typed is `cli`'s.

mod address;
mod environment;
mod error;
mod file;
mod layer;
mod load;
mod meaning;
mod profile;
mod rows;
mod secret;
mod setting;
mod settings;
mod values;
mod words;

pub use address::{BindAddress, MasterAddress};
pub use error::{ConfigError, Warning};
pub use layer::{Layer, Origin};
pub use load::load;
pub use secret::Secret;
pub use setting::{Group, Kind, Row, Setting};
pub use settings::{DEFAULT_FILE, Settings};
pub use values::{arrival_rate, host as target_host, parse_duration};
pub use words::{LogFormat, LogLevel, OnTerm, OrphanMode, ReloadMode};
