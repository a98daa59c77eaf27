//! The list of settings: the name of each as a flag, as a variable and as a key, and an example of a right value.
//!
//! What a value means is in `settings`; how it is read from text in `values`.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the fields of `Settings` bear the same names and say what each is")]
pub enum Setting {
    Config,
    Script,
    Users,
    SpawnRate,
    RunTime,
    Rate,
    Scale,
    Host,
    Tags,
    ExcludeTags,
    Seed,
    Set,
    Timeout,
    ConnectTimeout,
    Redirects,
    BodyLimit,
    InsecureTls,
    CaFile,
    Dns,
    ProxyFromEnv,
    RawNames,
    NoErrorBackoff,
    StopTimeout,
    Names,
    Lanes,
    Headless,
    PrintInterval,
    Csv,
    Json,
    Html,
    ExitCodeOnError,
    Strict,
    Log,
    LogLevel,
    Quiet,
    NoColor,
    Scripts,
    /// The folder with files of rows.
    Data,
    Master,
    Bind,
    Web,
    PathPrefix,
    AllowHost,
    WebTokenFile,
    WebCert,
    WebKey,
    WebHost,
    SecretFile,
    ExpectWorkers,
    ExpectWorkersTimeout,
    Autostart,
    Linger,
    Sole,
    State,
    NoAdopt,
    OnTerm,
    Reload,
    AllowScriptSkew,
    SkewTimeout,
    Orphan,
    OrphanTimeout,
    PrintStats,
    Health,
    Once,
    Tui,
    Ssh,
    SshAuthorizedKeys,
    SshHostKey,
    TargetBind,
    Url,
}

impl Setting {
    /// Every setting, in the order of the help and of the default file.
    pub const ALL: [Self; 70] = [
        Self::Config,
        Self::Script,
        Self::Users,
        Self::SpawnRate,
        Self::RunTime,
        Self::Rate,
        Self::Scale,
        Self::Host,
        Self::Tags,
        Self::ExcludeTags,
        Self::Seed,
        Self::Set,
        Self::Timeout,
        Self::ConnectTimeout,
        Self::Redirects,
        Self::BodyLimit,
        Self::InsecureTls,
        Self::CaFile,
        Self::Dns,
        Self::ProxyFromEnv,
        Self::RawNames,
        Self::NoErrorBackoff,
        Self::StopTimeout,
        Self::Names,
        Self::Lanes,
        Self::Headless,
        Self::PrintInterval,
        Self::Csv,
        Self::Json,
        Self::Html,
        Self::ExitCodeOnError,
        Self::Strict,
        Self::Log,
        Self::LogLevel,
        Self::Quiet,
        Self::NoColor,
        Self::Scripts,
        Self::Data,
        Self::Master,
        Self::Bind,
        Self::Web,
        Self::PathPrefix,
        Self::AllowHost,
        Self::WebTokenFile,
        Self::WebCert,
        Self::WebKey,
        Self::WebHost,
        Self::SecretFile,
        Self::ExpectWorkers,
        Self::ExpectWorkersTimeout,
        Self::Autostart,
        Self::Linger,
        Self::Sole,
        Self::State,
        Self::NoAdopt,
        Self::OnTerm,
        Self::Reload,
        Self::AllowScriptSkew,
        Self::SkewTimeout,
        Self::Orphan,
        Self::OrphanTimeout,
        Self::PrintStats,
        Self::Health,
        Self::Once,
        Self::Tui,
        Self::Ssh,
        Self::SshAuthorizedKeys,
        Self::SshHostKey,
        Self::TargetBind,
        Self::Url,
    ];

    /// The key in the file, the flag as messages show it, and an example of a right value.
    const fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Config => ("config", "--config", "load.toml"),
            Self::Script => ("script", "--script", "scripts/quickstart.lua"),
            Self::Users => ("users", "-u", "50"),
            Self::SpawnRate => ("spawn_rate", "-r", "5"),
            Self::RunTime => ("run_time", "-t", "1h20m"),
            Self::Rate => ("rate", "--rate", "500/s"),
            Self::Scale => ("scale", "--scale", "0.5"),
            Self::Host => ("host", "-H", "http://127.0.0.1:8080"),
            Self::Tags => ("tags", "-T", "read,write"),
            Self::ExcludeTags => ("exclude_tags", "-E", "slow,admin"),
            Self::Seed => ("seed", "--seed", "42"),
            Self::Set => ("set", "--set", "tenant=blue"),
            Self::Timeout => ("timeout", "--timeout", "30s"),
            Self::ConnectTimeout => ("connect_timeout", "--connect-timeout", "10s"),
            Self::Redirects => ("redirects", "--redirects", "10"),
            Self::BodyLimit => ("body_limit", "--body-limit", "64MiB"),
            Self::InsecureTls => ("insecure_tls", "--insecure-tls", "true"),
            Self::CaFile => ("ca_file", "--ca-file", "ca.pem"),
            Self::Dns => ("dns", "--dns", "fresh"),
            Self::ProxyFromEnv => ("proxy_from_env", "--proxy-from-env", "true"),
            Self::RawNames => ("raw_names", "--raw-names", "true"),
            Self::NoErrorBackoff => ("no_error_backoff", "--no-error-backoff", "true"),
            Self::StopTimeout => ("stop_timeout", "--stop-timeout", "10s"),
            Self::Names => ("names", "--names", "2000"),
            Self::Lanes => ("lanes", "--lanes", "2"),
            Self::Headless => ("headless", "--headless", "true"),
            Self::PrintInterval => ("print_interval", "--print-interval", "2s"),
            Self::Csv => ("csv", "--csv", "results/monday"),
            Self::Json => ("json", "--json", "results/monday.json"),
            Self::Html => ("html", "--html", "results/monday.html"),
            Self::ExitCodeOnError => ("exit_code_on_error", "--exit-code-on-error", "1"),
            Self::Strict => ("strict", "--strict", "true"),
            Self::Log => ("log", "--log", "json"),
            Self::LogLevel => ("log_level", "--log-level", "debug"),
            Self::Quiet => ("quiet", "--quiet", "true"),
            Self::NoColor => ("no_color", "--no-color", "true"),
            _ => self.row_of_cluster(),
        }
    }

    /// The same for what only master, worker, people at a distance and the demo target have.
    const fn row_of_cluster(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Scripts => ("scripts", "--scripts", "scripts"),
            Self::Data => ("data", "--data", "data"),
            Self::Master => ("master", "--master", "lunamoth-master:5557"),
            Self::Bind => ("bind", "--bind", ":5557"),
            Self::Web => ("web", "--web", ":8089"),
            Self::PathPrefix => ("path_prefix", "--path-prefix", "/locust"),
            Self::AllowHost => ("allow_host", "--allow-host", "http://127.0.0.1:8080,https://shop.example"),
            Self::WebTokenFile => ("web_token_file", "--web-token-file", "web-token.txt"),
            Self::WebCert => ("web_cert", "--web-cert", "web.pem"),
            Self::WebKey => ("web_key", "--web-key", "web.key"),
            Self::WebHost => ("web_host", "--web-host", "load.example,load.example:8443"),
            Self::SecretFile => ("secret_file", "--secret-file", "secret.txt"),
            Self::ExpectWorkers => ("expect_workers", "--expect-workers", "2"),
            Self::ExpectWorkersTimeout => ("expect_workers_timeout", "--expect-workers-timeout", "5m"),
            Self::Autostart => ("autostart", "--autostart", "true"),
            Self::Linger => ("linger", "--linger", "60s"),
            Self::Sole => ("sole", "--sole", "lunamoth-cluster:5557"),
            Self::State => ("state", "--state", "state"),
            Self::NoAdopt => ("no_adopt", "--no-adopt", "true"),
            Self::OnTerm => ("on_term", "--on-term", "handover"),
            Self::Reload => ("reload", "--reload", "live"),
            Self::AllowScriptSkew => ("allow_script_skew", "--allow-script-skew", "true"),
            Self::SkewTimeout => ("skew_timeout", "--skew-timeout", "90s"),
            Self::Orphan => ("orphan", "--orphan", "pause"),
            Self::OrphanTimeout => ("orphan_timeout", "--orphan-timeout", "60s"),
            Self::PrintStats => ("print_stats", "--print-stats", "true"),
            Self::Health => ("health", "--health", ":8090"),
            Self::Once => ("once", "--once", "true"),
            Self::Tui => ("tui", "--tui", "true"),
            Self::Ssh => ("ssh", "--ssh", ":2222"),
            Self::SshAuthorizedKeys => ("ssh_authorized_keys", "--ssh-authorized-keys", "authorized_keys"),
            Self::SshHostKey => ("ssh_host_key", "--ssh-host-key", "ssh_host_key"),
            Self::TargetBind => ("target_bind", "--bind", "127.0.0.1:8080"),
            Self::Url => ("url", "--url", "http://127.0.0.1:8089/locust"),
            _ => panic!("`row` has the rows of a run"),
        }
    }

    /// The key in the file.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.row().0
    }

    /// The flag as messages show it: the short form where there is one.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        self.row().1
    }

    /// A right value, as one types it after the flag.
    #[must_use]
    pub const fn example(self) -> &'static str {
        self.row().2
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(self) -> String {
        format!("LUNAMOTH_{}", self.key().to_uppercase())
    }

    /// Whether it holds several values; in a variable they stand between commas.
    #[must_use]
    pub const fn is_list(self) -> bool {
        matches!(self, Self::Tags | Self::ExcludeTags | Self::AllowHost | Self::WebHost)
    }

    /// Whether it names a file or a folder.
    #[must_use]
    pub const fn is_path(self) -> bool {
        matches!(
            self,
            Self::Script
                | Self::CaFile
                | Self::Csv
                | Self::Json
                | Self::Html
                | Self::Scripts
                | Self::WebTokenFile
                | Self::WebCert
                | Self::WebKey
                | Self::SecretFile
                | Self::State
                | Self::SshAuthorizedKeys
                | Self::SshHostKey
        )
    }

    /// Whether it is on or off.
    #[must_use]
    pub const fn is_switch(self) -> bool {
        matches!(
            self,
            Self::InsecureTls
                | Self::ProxyFromEnv
                | Self::RawNames
                | Self::NoErrorBackoff
                | Self::Strict
                | Self::Headless
                | Self::Quiet
                | Self::NoColor
                | Self::Autostart
                | Self::NoAdopt
                | Self::AllowScriptSkew
                | Self::PrintStats
                | Self::Once
                | Self::Tui
        )
    }

    /// A right value, as one writes it in the file.
    #[must_use]
    pub fn example_in_file(self) -> String {
        let example = self.example();
        if self.is_list() {
            let items: Vec<String> = example.split(',').map(|item| format!("\"{item}\"")).collect();
            return format!("{} = [{}]", self.key(), items.join(", "));
        }
        if let (Self::Set, Some((name, value))) = (self, example.split_once('=')) {
            return format!("set = {{ {name} = \"{value}\" }}");
        }
        let is_bare = self.is_switch() || example.parse::<f64>().is_ok();
        if is_bare { format!("{} = {example}", self.key()) } else { format!("{} = \"{example}\"", self.key()) }
    }

    /// The setting with this key in the file.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        // `--config` names the file, so the file cannot name itself.
        Self::ALL.into_iter().find(|setting| setting.key() == key && *setting != Self::Config)
    }

    /// The setting with this environment variable.
    #[must_use]
    pub fn of_variable(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.variable() == name)
    }
}

/// The word of `words` that `typed` was most likely meant to be; `None` where none is near.
pub(super) fn nearest(typed: &str, words: impl Iterator<Item = String>) -> Option<String> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let typed = plain(typed);
    // A third of the letters may be wrong; further away a suggestion misleads.
    let limit = (typed.trim_start_matches("lunamoth_").chars().count() / 3).max(1);
    words
        .map(|word| (strsim::damerau_levenshtein(&typed, &plain(&word)), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
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
        for setting in Setting::ALL {
            let name = setting.variable();
            assert!(!name.ends_with("_PORT") && !name.contains("_PORT_") && !name.contains("SERVICE"), "{name}");
        }
    }

    #[test]
    fn a_typing_error_finds_its_setting_and_a_strange_word_finds_none() {
        let keys = || Setting::ALL.into_iter().map(|setting| setting.key().to_owned());
        assert_eq!(nearest("spawn-rate", keys()).as_deref(), Some("spawn_rate"));
        assert_eq!(nearest("user", keys()).as_deref(), Some("users"));
        assert_eq!(nearest("time_out", keys()).as_deref(), Some("timeout"));
        assert_eq!(nearest("zebra", keys()), None);
    }
}
