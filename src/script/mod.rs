//! Lua: the host that loads a script, the VMs that run it, the bindings that scripts call. Fills the traits of `load`, using `protocol`.
//!
//! Never hears of the cluster. The life of a script: [`Host::load`], or [`ScriptFolder::load`] where a folder of scripts was given, reads it
//! into a [`Bundle`] and evaluates it once on the master; each lane opens its VMs from that bundle (`session`), and a user is one coroutine in one of
//! them (`driver`).

mod account;
mod answer;
pub mod bindings;
mod bundle;
mod chance;
pub mod context;
mod crossing;
mod data_file;
mod driver;
mod error;
pub mod floor;
mod folder;
mod folder_version;
mod helm;
mod hints;
mod host;
mod lane_state;
mod ledger;
mod library;
mod numerals;
mod pattern;
mod scenario;
mod session;
mod sources;
pub mod starter;
mod stdlib;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod traceback;
mod type_map;
mod value;
mod vm;
mod walk;
mod watch;
mod watchdog;
pub mod witness;

pub use bundle::{Bundle, SourceFile, short_fingerprint};
pub use error::LoadScriptError;
pub use folder::ScriptFolder;
pub use helm::{Helm, HelmView};
pub use host::{Host, LoadOptions, ScriptWorkload};
pub use scenario::{ScenarioDescription, SteeredProfile};
pub use session::{ScriptLane, ScriptUser};
pub use watch::{FolderStamp, Watch};
pub use witness::{Witnessed, WitnessedHop, WitnessedStep};
