//! Which command takes which settings, in the order of its help.

use crate::config::{Group, Setting};

/// A command that takes settings.
pub(super) trait Takes {
    /// The parts of the settings that it takes.
    const PARTS: &'static [Part];
}

/// A group of settings, or one of another group.
pub(super) enum Part {
    All(Group),
    One {
        setting: Setting,
        heading: &'static str,
        /// In place of the row's.
        help: Option<&'static str>,
        /// Another name of the flag, beside the row's.
        alias: Option<&'static str>,
    },
}

impl Part {
    const fn one(setting: Setting, heading: &'static str) -> Self {
        Self::One { setting, heading, help: None, alias: None }
    }

    const fn told(setting: Setting, heading: &'static str, help: &'static str) -> Self {
        Self::One { setting, heading, help: Some(help), alias: None }
    }

    const fn also(setting: Setting, heading: &'static str, alias: &'static str) -> Self {
        Self::One { setting, heading, help: None, alias: Some(alias) }
    }

    pub(super) fn has(&self, other: Setting) -> bool {
        match self {
            Self::All(group) => other.row().group == *group,
            Self::One { setting, .. } => other == *setting,
        }
    }

    pub(super) fn heading(&self) -> Option<&'static str> {
        match self {
            Self::All(group) => group.heading(),
            Self::One { heading, .. } => Some(heading),
        }
    }

    pub(super) fn help(&self) -> Option<&'static str> {
        match self {
            Self::All(_) => None,
            Self::One { help, .. } => *help,
        }
    }

    pub(super) fn alias(&self) -> Option<&'static str> {
        match self {
            Self::All(_) => None,
            Self::One { alias, .. } => *alias,
        }
    }
}

use Group::{
    Asked, Folder, General, Http, HttpTrust, HttpWays, Lanes, Limits, Load, Master, Report, Scenario, Screen, Ssh, Target, Web, Worker,
};
use Part::All;

macro_rules! takes {
    ($($(#[$doc:meta])* $taker:ident: [$($part:expr),* $(,)?];)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(super) struct $taker;

            impl Takes for $taker {
                const PARTS: &'static [Part] = &[$($part),*];
            }
        )*
    };
}

takes! {
    /// `run`, besides its script.
    TakesOfRun: [
        All(Load), All(Scenario), All(Http), All(HttpTrust), All(HttpWays), All(Limits), All(Lanes), All(Screen), All(Web), All(Report),
        All(General),
    ];
    TakesOfMaster: [
        All(Folder), All(Master),
        Part::told(Setting::Tui, "Master", "Show the terminal UI; the master goes on when it is left"),
        All(Ssh), All(Web), All(Load), All(Scenario), All(Http), All(HttpTrust), All(HttpWays), All(Limits), All(Report), All(General),
    ];
    TakesOfWorker: [
        All(Folder), All(Worker),
        Part::told(
            Setting::StopTimeout,
            "Worker",
            "How long requests in flight may take once this worker is asked to end [default: 10s]",
        ),
        All(Lanes), All(General),
    ];
    /// `check`, besides its script.
    TakesOfCheck: [All(Scenario), All(Http), All(HttpTrust), All(HttpWays), All(General)];
    /// `find`, besides its script and what it asks.
    TakesOfFind: [
        Part::told(Setting::Url, "Master", "Hold the rates on the cluster of this master, whose own SCRIPT and settings they have [default: here]"),
        Part::told(
            Setting::WebTokenFile,
            "Master",
            "Read the master's token from this file, in place of the variable LUNAMOTH_WEB_TOKEN",
        ),
        All(Scenario), All(Http), All(HttpTrust), All(HttpWays), All(Limits), Part::one(Setting::Lanes, "Engine"),
        Part::told(Setting::Json, "Output", "Write the curve and what was found; `-` is stdout, and the table goes to stderr then"),
        All(General),
    ];
    /// `ab`, besides its script and what it asks. Its hosts are its own.
    TakesOfAb: [
        All(Load),
        Part::one(Setting::Tags, "Scenario"),
        Part::one(Setting::ExcludeTags, "Scenario"),
        Part::one(Setting::Set, "Scenario"),
        Part::one(Setting::Seed, "Scenario"),
        All(Http), All(HttpTrust), All(HttpWays), All(Limits), All(Lanes),
        Part::one(Setting::Quiet, "Output"),
        Part::told(
            Setting::Json,
            "Output",
            "Write everything that was measured, with both sides and what differs in `ab`; `-` is stdout, and tables go to stderr then",
        ),
        Part::one(Setting::Csv, "Output"),
        Part::one(Setting::Html, "Output"),
        Part::one(Setting::Out, "Output"),
        Part::one(Setting::Strict, "Output"),
        All(General),
    ];
    TakesOfTarget: [All(Target), All(General)];
    /// What a start asks for.
    TakesOfSwarm: [
        // The master's own settings say by what its levels are multiplied, and which profiles run.
        Part::one(Setting::Users, "Load"),
        Part::one(Setting::SpawnRate, "Load"),
        Part::one(Setting::RunTime, "Load"),
        Part::one(Setting::Rate, "Load"),
        Part::told(Setting::Host, "Scenario", "The base URL in place of the scenario's"),
        Part::told(Setting::Script, "Scenario", "Which script of the master's folder runs [default: the master's choice]"),
    ];
    /// Whoever asks a master: where it is and how it is reached.
    TakesOfAsking: [
        All(Asked),
        Part::told(
            Setting::WebTokenFile,
            "Master",
            "Read the master's token from this file, in place of the variable LUNAMOTH_WEB_TOKEN",
        ),
        Part::also(Setting::CaFile, "Master", "ca"),
        Part::also(Setting::InsecureTls, "Master", "insecure"),
        Part::one(Setting::ProxyFromEnv, "Master"),
    ];
    /// What every command takes.
    TakesOfAll: [All(General)];
}
