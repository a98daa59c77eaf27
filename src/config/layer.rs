//! A layer: the settings that one place gives, as texts, with where each stands.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::setting::Setting;

/// The settings of one place: the flags, the environment, or the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layer {
    given: BTreeMap<Setting, Given>,
}

impl Layer {
    /// Adds what was typed after a flag; a flag that may be repeated adds to what is there.
    pub fn add_flag(&mut self, setting: Setting, text: impl Into<String>) {
        let given = self.given.entry(setting).or_insert(Given { texts: Vec::new(), origin: Origin::Flag });
        given.texts.push(text.into());
    }

    /// Adds what was typed of other settings.
    pub fn add_all(&mut self, other: Self) {
        self.given.extend(other.given);
    }

    /// Puts `text` in place of a flag's last text that `is_other`, which it gives back.
    pub fn replace_flag(&mut self, setting: Setting, text: &str, is_other: impl Fn(&str) -> bool) -> Option<String> {
        let last = self.given.get_mut(&setting)?.texts.last_mut().filter(|last| is_other(last))?;
        Some(std::mem::replace(last, text.to_owned()))
    }

    pub(super) fn insert(&mut self, setting: Setting, texts: Vec<String>, origin: Origin) {
        self.given.insert(setting, Given { texts, origin });
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Setting, &Given)> {
        self.given.iter().map(|(setting, given)| (*setting, given))
    }

    /// Whether the place gives this setting.
    #[must_use]
    pub fn has(&self, setting: Setting) -> bool {
        self.given.contains_key(&setting)
    }

    /// A setting of this place that does not go together with `setting`.
    pub(super) fn rival_of(&self, setting: Setting) -> Option<Setting> {
        self.given.keys().copied().find(|other| other.excludes(setting) || setting.excludes(*other))
    }

    /// The texts given for one setting; empty without any.
    pub(super) fn texts(&self, setting: Setting) -> &[String] {
        self.given.get(&setting).map_or(&[], |given| &given.texts)
    }
}

/// One setting's texts, never empty for a scalar, and where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) texts: Vec<String>,
    pub(super) origin: Origin,
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "a place in a file is its path and a line, from 1")]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In the environment variable of this name.
    Variable(String),
    /// In the file of `--config`.
    File { path: PathBuf, line: usize },
}
