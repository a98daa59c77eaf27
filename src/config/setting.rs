//! What a setting is called and how it is typed: [`Setting`], and its [`Row`]. What it means is in `settings`.

use super::rows::all_settings;
use crate::spelling;

/// What is known of a setting besides its type, default and reader.
#[derive(Debug)]
pub struct Row {
    /// In the file; in capitals behind `LUNAMOTH_` the variable.
    pub key: &'static str,
    /// Of the flag, without a full stop.
    pub help: &'static str,
    /// With which others it stands in the help, and which commands take it.
    pub group: Group,
    /// How it is typed.
    pub kind: Kind,
    /// What the help calls its value.
    pub value: &'static str,
    /// A right value, as one types it after the flag.
    pub example: &'static str,
    /// The letter of a short flag; `None` where it has a long one alone.
    pub short: Option<char>,
    /// The flag, where it is another one than the key.
    pub long: Option<&'static str>,
    /// Another name of the flag, which the help does not show.
    pub alias: Option<&'static str>,
    /// What the flag means without a value.
    pub bare: Option<&'static str>,
    /// The keys of settings that cannot be typed beside it.
    pub excludes: &'static [&'static str],
}

impl Row {
    const PLAIN: Self = Self {
        key: "",
        help: "",
        group: Group::General,
        kind: Kind::Text,
        value: "",
        example: "",
        short: None,
        long: None,
        alias: None,
        bare: None,
        excludes: &[],
    };
}

/// How a setting is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// On or off; the flag alone is on.
    Switch,
    /// A number, a time, a size or a rate: what begins with a minus reaches its reader.
    Amount,
    /// Anything else of one value.
    Text,
    /// A file or a folder.
    Path,
    /// Several values, between commas or one by one.
    List,
    /// Names with values, put together over all places.
    Pairs,
}

/// Settings that stand together in the help. Those without a heading stand first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "headings of the help")]
pub enum Group {
    Folder,
    Target,
    Load,
    Scenario,
    Http,
    HttpTrust,
    HttpWays,
    Limits,
    Lanes,
    Screen,
    Report,
    Web,
    Master,
    Ssh,
    Worker,
    Asked,
    General,
}

impl Group {
    /// The heading in the help.
    #[must_use]
    pub const fn heading(self) -> Option<&'static str> {
        Some(match self {
            Self::Folder | Self::Target => return None,
            Self::Load => "Load (-u, -r, -t and --rate replace the scenario's own by a plain ramp)",
            Self::Scenario => "Scenario",
            Self::Http | Self::HttpTrust | Self::HttpWays => "HTTP",
            Self::Limits | Self::Lanes => "Engine",
            Self::Screen | Self::Report => "Output",
            Self::Web => "Web",
            Self::Master | Self::Ssh | Self::Asked => "Master",
            Self::Worker => "Worker",
            Self::General => "General",
        })
    }
}

macro_rules! settings {
    ({ $($own:tt)* } $($travelling:tt)*) => { settings! { @all $($own)* $($travelling)* } };
    (@all $( $(#[doc = $help:literal])+ $setting:ident($key:ident): $type:ty = $default:expr => $row:tt; )*) => {
        /// A setting, by the key of its row.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Setting {
            $( #[doc = concat!("```text\n", $($help,)+ "\n```")] $setting, )*
        }

        impl Setting {
            /// Every setting, those of the plan last.
            pub const ALL: &[Self] = &[$( Self::$setting, )*];
        }

        static ROWS: &[Row] = &[$( settings! { @row stringify!($key), concat!($($help),+), $row } ),*];
    };
    (@row $key:expr, $help:expr, ($group:ident, $kind:ident($($reader:tt)*), $value:literal, $example:literal $(, $extra:ident: $content:expr)*)) => {
        Row {
            key: $key,
            help: $help.trim_ascii_start(),
            group: Group::$group,
            kind: Kind::$kind,
            value: $value,
            example: $example,
            $($extra: $content,)*
            ..Row::PLAIN
        }
    };
}

all_settings! { settings }

impl Setting {
    /// What is known of it.
    #[must_use]
    pub fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// Whether its row says that it does not go together with `other`.
    pub(super) fn excludes(self, other: Self) -> bool {
        self.row().excludes.contains(&other.key())
    }

    /// The key in the file.
    #[must_use]
    pub fn key(self) -> &'static str {
        self.row().key
    }

    /// The flag as messages show it: what a load is asked for is known by its letters.
    #[must_use]
    pub fn flag(self) -> String {
        match (self.row().group, self.row().short) {
            (Group::Load | Group::Scenario, Some(short)) => format!("-{short}"),
            _ => format!("--{}", self.long()),
        }
    }

    /// The flag in full, without its dashes.
    #[must_use]
    pub fn long(self) -> String {
        self.row().long.map_or_else(|| self.key().replace('_', "-"), str::to_owned)
    }

    /// A right value, as one types it after the flag.
    #[must_use]
    pub fn example(self) -> &'static str {
        self.row().example
    }

    /// The environment variable that gives it a value.
    #[must_use]
    pub fn variable(self) -> String {
        format!("LUNAMOTH_{}", self.key().to_uppercase())
    }

    /// A right value, as one writes it in the file.
    #[must_use]
    pub fn example_in_file(self) -> String {
        let example = self.example();
        if self.row().kind == Kind::List {
            let items: Vec<String> = example.split(',').map(|item| format!("\"{item}\"")).collect();
            return format!("{} = [{}]", self.key(), items.join(", "));
        }
        if let (Kind::Pairs, Some((name, value))) = (self.row().kind, example.split_once('=')) {
            return format!("{} = {{ {name} = \"{value}\" }}", self.key());
        }
        let is_bare = self.row().kind == Kind::Switch || example.parse::<f64>().is_ok();
        if is_bare { format!("{} = {example}", self.key()) } else { format!("{} = \"{example}\"", self.key()) }
    }

    /// The setting with this key in the file.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        // `--config` names the file, so the file cannot name itself.
        Self::ALL.iter().copied().find(|setting| setting.key() == key && *setting != Self::Config)
    }

    /// The setting with this environment variable.
    #[must_use]
    pub fn of_variable(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|setting| setting.variable() == name)
    }
}

/// The setting, as one of `names` spells it, that `typed` was most likely meant to be; `None` where none is near.
pub(super) fn nearest(typed: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let typed = typed.to_lowercase().replace('-', "_");
    let limit = spelling::third(typed.trim_start_matches("lunamoth_"));
    let names: Vec<String> = names.collect();
    spelling::nearest(&typed, names.iter().map(String::as_str), |_| limit).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_all_lists_every_setting_once() {
        let keys: std::collections::BTreeSet<&str> = Setting::ALL.iter().map(|setting| setting.key()).collect();
        assert_eq!(keys.len(), Setting::ALL.len());
    }

    #[test]
    fn no_variable_could_be_set_by_a_kubernetes_service() {
        for setting in Setting::ALL.iter().copied() {
            let name = setting.variable();
            assert!(!name.ends_with("_PORT") && !name.contains("_PORT_") && !name.contains("SERVICE"), "{name}");
        }
    }

    #[test]
    fn a_typing_error_finds_its_setting_and_a_strange_word_finds_none() {
        let keys = || Setting::ALL.iter().map(|setting| setting.key().to_owned());
        assert_eq!(nearest("spawn-rate", keys()).as_deref(), Some("spawn_rate"));
        assert_eq!(nearest("user", keys()).as_deref(), Some("users"));
        assert_eq!(nearest("time_out", keys()).as_deref(), Some("timeout"));
        assert_eq!(nearest("zebra", keys()), None);
    }
}
