//! What is meant: every setting, from its default, the file of `--config`, the environment and the flags, checked once.
//!
//! Settings are one list ([`Setting`]); each has a flag, a variable `LUNAMOTH_*` and a key in the file, and one parser for
//! all three. Resolving is pure; [`load`] is the thin shell that reads the environment and files. What was typed is `cli`'s.

mod environment;
mod error;
mod file;
mod layer;
mod setting;
mod settings;
mod values;

pub use error::{ConfigError, Warning};
pub use layer::{Layer, Origin};
pub use setting::Setting;
pub use settings::{DEFAULT_FILE, DnsMode, LogFormat, LogLevel, Settings, load};
pub use values::parse_duration;
