//! The settings, checked: fields with their defaults, the order of the layers, and what follows for the plan.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, Warning};
use super::layer::{Layer, Origin};
use super::setting::Setting;
use super::{environment, file, values};
use crate::plan::{HttpPlan, LoadProfile, TagFilter};

/// Every setting of a run, checked. `None` means that nobody said anything, where that has a meaning of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The script to run.
    pub script: Option<PathBuf>,
    /// The number of users; with `spawn_rate` and `run_time` it replaces the scenario's profile.
    pub users: Option<u32>,
    /// Users that start per second. Positive and finite.
    pub spawn_rate: Option<f64>,
    /// From the start of the ramp to the stop.
    pub run_time: Option<Duration>,
    /// The base URL in place of the scenario's; without a slash at its end.
    pub host: Option<String>,
    /// Tasks run that bear one of these tags; all, where it is empty.
    pub tags: Vec<String>,
    /// Tasks do not run that bear one of these tags.
    pub exclude_tags: Vec<String>,
    /// The seed of the run; a random one without.
    pub seed: Option<u64>,
    /// What `env(name)` answers in scripts, before the environment's own variables.
    pub set: BTreeMap<String, String>,
    /// From the ask to the last byte.
    pub timeout: Duration,
    /// For name look-up, connect and TLS together.
    pub connect_timeout: Duration,
    /// At most this many redirects are followed.
    pub redirects: u32,
    /// Decoded bytes of one body.
    pub body_limit: u64,
    /// Accept any certificate.
    pub insecure_tls: bool,
    /// A PEM file of certificate authorities to trust besides the usual ones.
    pub ca_file: Option<PathBuf>,
    /// The text of `ca_file`; [`load`] fills it.
    pub extra_roots: Option<String>,
    /// How names are looked up.
    pub dns: DnsMode,
    /// Honour `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
    pub proxy_from_env: bool,
    /// Default names keep numbers and UUIDs.
    pub raw_names: bool,
    /// Users do not pause after an iteration that failed.
    pub no_error_backoff: bool,
    /// How long requests in flight and `on_stop` may take once a stop has begun.
    pub stop_timeout: Duration,
    /// At most this many (method, name) entries.
    pub names: usize,
    /// Threads that make load; as many as the cgroup allows without.
    pub lanes: Option<usize>,
    /// No terminal UI.
    pub headless: bool,
    /// How often the table is printed.
    pub print_interval: Duration,
    /// The base of the four CSV files' names.
    pub csv: Option<PathBuf>,
    /// The JSON report.
    pub json: Option<PathBuf>,
    /// The exit code when a request failed and no threshold was stated.
    pub exit_code_on_error: u8,
    /// The form of the log.
    pub log: LogFormat,
    /// The least level that is logged.
    pub log_level: LogLevel,
    /// Neither the periodic table nor the progress line.
    pub quiet: bool,
    /// No colours, even on a terminal.
    pub no_color: bool,
    /// Where `lunamoth target` listens.
    pub target_bind: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        let http = HttpPlan::default();
        Self {
            script: None,
            users: None,
            spawn_rate: None,
            run_time: None,
            host: None,
            tags: Vec::new(),
            exclude_tags: Vec::new(),
            seed: None,
            set: BTreeMap::new(),
            timeout: http.request_timeout,
            connect_timeout: http.connect_timeout,
            redirects: http.redirects,
            body_limit: http.body_limit,
            insecure_tls: http.insecure_tls,
            ca_file: None,
            extra_roots: None,
            dns: DnsMode::Cached,
            proxy_from_env: http.proxy_from_env,
            raw_names: false,
            no_error_backoff: false,
            stop_timeout: Duration::from_secs(10),
            names: 2000,
            lanes: None,
            headless: false,
            print_interval: Duration::from_secs(2),
            csv: None,
            json: None,
            exit_code_on_error: 1,
            log: LogFormat::Text,
            log_level: LogLevel::Info,
            quiet: false,
            no_color: false,
            target_bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
        }
    }
}

impl Settings {
    /// Puts the layers together: defaults, `LOCUST_*`, the file (its path and text), `LUNAMOTH_*`, flags; later ones win.
    ///
    /// `set` is put together name by name. A value that cannot be used is an error even where a later layer hides it.
    ///
    /// # Errors
    /// A value or a key that is wrong, with the place where it stands and a right example.
    pub fn resolve(
        typed: &Layer,
        variables: impl IntoIterator<Item = (String, String)>,
        file: Option<(&Path, &str)>,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let environment = environment::read(variables);
        let file = file.map(|(path, text)| file::read(path, text)).transpose()?.unwrap_or_default();
        let mut warnings = environment.warnings;
        let mut locust = Layer::default();
        for (setting, name, value) in environment.locust {
            if [&file, &environment.own, typed].iter().all(|layer| !layer.has(setting)) {
                locust.insert(setting, vec![value.clone()], Origin::Variable(name.to_owned()));
                warnings.push(Warning::LocustVariable { name, value, setting });
            }
        }
        let mut settings = Self::default();
        for layer in [&locust, &file, &environment.own, typed] {
            for (setting, given) in layer.iter() {
                settings.apply(setting, &given.texts).map_err(|problem| ConfigError::Value {
                    setting,
                    origin: given.origin.clone(),
                    text: given.texts.join(","),
                    problem,
                })?;
            }
        }
        Ok((settings, warnings))
    }

    /// What every HTTP request of the run obeys; the scenario adds its `hosts` and `tls`.
    #[must_use]
    pub fn http_plan(&self) -> HttpPlan {
        HttpPlan {
            request_timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            redirects: self.redirects,
            body_limit: self.body_limit,
            insecure_tls: self.insecure_tls,
            extra_roots: self.extra_roots.clone(),
            dns_fresh: self.dns == DnsMode::Fresh,
            proxy_from_env: self.proxy_from_env,
            ..HttpPlan::default()
        }
    }

    /// Which tasks run.
    #[must_use]
    pub fn tag_filter(&self) -> TagFilter {
        TagFilter { include: self.tags.clone(), exclude: self.exclude_tags.clone() }
    }

    /// The plain ramp that replaces the scenario's profile, where any of `-u -r -t` is given: 1 user and 1 a second where not said.
    fn profile_override(&self) -> Option<LoadProfile> {
        let is_given = self.users.is_some() || self.spawn_rate.is_some() || self.run_time.is_some();
        is_given.then(|| LoadProfile::plain(self.users.unwrap_or(1), self.spawn_rate.unwrap_or(1.0), self.run_time))
    }

    /// The profile of a run, and the line for the log that says which one applies.
    #[must_use]
    pub fn profile(&self, scenario: Option<LoadProfile>) -> (LoadProfile, String) {
        let (users, rate) = (self.users.unwrap_or(1), self.spawn_rate.unwrap_or(1.0));
        let end = self.run_time.map_or("until stopped".to_owned(), |time| format!("for {}", humantime::format_duration(time)));
        match (self.profile_override(), scenario) {
            (Some(plain), Some(_)) => {
                (plain, format!("users: {users} at {rate} per second, {end}; -u -r -t replace the scenario's load as a whole"))
            }
            (Some(plain), None) => (plain, format!("users: {users} at {rate} per second, {end}")),
            (None, Some(own)) => (own, "users: as the scenario's load says".to_owned()),
            (None, None) => (
                LoadProfile::plain(1, 1.0, None),
                "users: 1 until stopped, since neither the scenario nor -u -r -t says otherwise".to_owned(),
            ),
        }
    }

    /// Takes one setting's texts over. The error is the problem alone.
    fn apply(&mut self, setting: Setting, texts: &[String]) -> Result<(), String> {
        // Of a flag that was typed twice the last one counts, as is usual; lists take all.
        let text = texts.last().map_or("", String::as_str);
        match setting {
            Setting::Config => {}
            Setting::Script => self.script = Some(path(text)?),
            Setting::Users => self.users = Some(whole_u32(text, 1)?),
            Setting::SpawnRate => self.spawn_rate = Some(values::rate(text)?),
            Setting::RunTime => self.run_time = Some(values::positive_duration(text)?),
            Setting::Host => self.host = Some(values::host(text)?),
            Setting::Tags => self.tags = values::list(texts),
            Setting::ExcludeTags => self.exclude_tags = values::list(texts),
            Setting::Seed => self.seed = Some(values::whole(text, 0, u64::MAX)?),
            Setting::Set => {
                for pair in texts {
                    self.set.extend([values::pair(pair)?]);
                }
            }
            Setting::Timeout => self.timeout = values::positive_duration(text)?,
            Setting::ConnectTimeout => self.connect_timeout = values::positive_duration(text)?,
            Setting::Redirects => self.redirects = whole_u32(text, 0)?,
            Setting::BodyLimit => self.body_limit = values::byte_count(text)?,
            Setting::InsecureTls => self.insecure_tls = values::switch(text)?,
            Setting::CaFile => self.ca_file = Some(path(text)?),
            Setting::Dns => self.dns = values::word(text, &DnsMode::WORDS)?,
            Setting::ProxyFromEnv => self.proxy_from_env = values::switch(text)?,
            Setting::RawNames => self.raw_names = values::switch(text)?,
            Setting::NoErrorBackoff => self.no_error_backoff = values::switch(text)?,
            Setting::StopTimeout => self.stop_timeout = values::parse_duration(text)?,
            Setting::Names => self.names = whole_u32(text, 1)? as usize,
            Setting::Lanes => self.lanes = Some(values::whole(text, 1, 1024)? as usize),
            Setting::Headless => self.headless = values::switch(text)?,
            Setting::PrintInterval => self.print_interval = values::positive_duration(text)?,
            Setting::Csv => self.csv = Some(path(text)?),
            Setting::Json => self.json = Some(path(text)?),
            Setting::ExitCodeOnError => self.exit_code_on_error = values::whole(text, 0, 255)? as u8,
            Setting::Log => self.log = values::word(text, &LogFormat::WORDS)?,
            Setting::LogLevel => self.log_level = values::word(text, &LogLevel::WORDS)?,
            Setting::Quiet => self.quiet = values::switch(text)?,
            Setting::NoColor => self.no_color = values::switch(text)?,
            Setting::TargetBind => self.target_bind = values::bind_address(text)?,
        }
        Ok(())
    }
}

/// Reads the environment and the files that the settings name, and resolves.
///
/// # Errors
/// As [`Settings::resolve`], or a file that cannot be read.
pub fn load(typed: &Layer) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let variables: Vec<(String, String)> =
        std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect();
    let from_environment = variables.iter().find(|(name, _)| *name == Setting::Config.variable()).map(|(_, value)| value.clone());
    let path = typed.texts(Setting::Config).last().cloned().or(from_environment).filter(|path| !path.is_empty()).map(PathBuf::from);
    let text = path.as_deref().map(|path| read_text(path, Setting::Config)).transpose()?;
    let (mut settings, warnings) = Settings::resolve(typed, variables, path.as_deref().zip(text.as_deref()))?;
    settings.extra_roots = settings.ca_file.as_deref().map(|path| read_text(path, Setting::CaFile)).transpose()?;
    Ok((settings, warnings))
}

fn read_text(path: &Path, setting: Setting) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), named_by: setting.flag(), source })
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() { Err("the path is empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn whole_u32(text: &str, least: u64) -> Result<u32, String> {
    // `whole` keeps the number within the bounds of `u32`.
    values::whole(text, least, u64::from(u32::MAX)).map(|number| number as u32)
}

/// How names of hosts are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsMode {
    /// Kept for their time to live.
    Cached,
    /// For each new connection.
    Fresh,
}

impl DnsMode {
    const WORDS: [(&str, Self); 2] = [("cached", Self::Cached), ("fresh", Self::Fresh)];
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people, as Locust writes them.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    const WORDS: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

/// The least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the usual five")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    const WORDS: [(&str, Self); 6] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("warning", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// The file with every setting, its default and what it does.
pub const DEFAULT_FILE: &str = include_str!("../../config/default.toml");

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &[(Setting, &str)], variables: &[(&str, &str)], file: Option<&str>) -> Result<(Settings, Vec<Warning>), ConfigError> {
        let mut typed = Layer::default();
        for (setting, text) in flags {
            typed.add_flag(*setting, *text);
        }
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::resolve(&typed, variables, file.map(|text| (Path::new("load.toml"), text)))
    }

    fn message(flags: &[(Setting, &str)], variables: &[(&str, &str)], file: Option<&str>) -> String {
        resolve(flags, variables, file).expect_err("the value must be refused").to_string()
    }

    #[test]
    fn a_flag_beats_a_variable_beats_the_file_beats_locusts_variable_beats_the_default() {
        let users = |flags: &[(Setting, &str)], variables: &[(&str, &str)], file| resolve(flags, variables, file).unwrap().0.users;
        let flag = [(Setting::Users, "5")];
        let all = [("LUNAMOTH_USERS", "4"), ("LOCUST_USERS", "2")];
        assert_eq!(users(&flag, &all, Some("users = 3")), Some(5));
        assert_eq!(users(&[], &all, Some("users = 3")), Some(4));
        assert_eq!(users(&[], &all[1..], Some("users = 3")), Some(3));
        assert_eq!(users(&[], &all[1..], None), Some(2));
        assert_eq!(users(&[], &[], None), None);
    }

    #[test]
    fn locusts_variables_are_named_when_and_only_when_they_count() {
        let variables = [("LOCUST_USERS", "2"), ("LOCUST_RUN_TIME", "1m")];
        let (settings, warnings) = resolve(&[(Setting::Users, "7")], &variables, None).unwrap();
        assert_eq!((settings.users, settings.run_time), (Some(7), Some(Duration::from_secs(60))));
        let texts: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["run_time = 1m, taken from LOCUST_RUN_TIME; -t and LUNAMOTH_RUN_TIME come before it"]);
    }

    #[test]
    fn bad_flags_are_named_with_what_is_wrong_and_a_right_example() {
        let cases = [
            (Setting::Users, "abc", "`-u abc`: `abc` is not a whole number; such as `-u 50`"),
            (Setting::Users, "0", "`-u 0`: `0` is not between 1 and 4294967295; such as `-u 50`"),
            (Setting::Users, "-3", "`-u -3`: `-3` is not between 1 and 4294967295; such as `-u 50`"),
            (Setting::Users, "1.5", "`-u 1.5`: `1.5` is not a whole number; such as `-u 50`"),
            (Setting::SpawnRate, "0", "`-r 0`: `0` is not above zero; such as `-r 5`"),
            (Setting::SpawnRate, "x", "`-r x`: `x` is not a number of users per second; such as `-r 5`"),
            (
                Setting::RunTime,
                "5x",
                "`-t 5x`: `5x` is not a duration: there is no unit `x`, the units are h, m, s, ms, us; such as `-t 1h20m`",
            ),
            (Setting::RunTime, "0", "`-t 0`: must be longer than zero; such as `-t 1h20m`"),
            (
                Setting::Host,
                "a.example",
                "`-H a.example`: `a.example` has no `http://` or `https://` in front; such as `-H http://127.0.0.1:8080`",
            ),
            (Setting::Set, "x", "`--set x`: `x` is not name=value; such as `--set tenant=blue`"),
            (Setting::Dns, "none", "`--dns none`: `none` is not one of cached, fresh; such as `--dns fresh`"),
            (Setting::RawNames, "maybe", "`--raw-names maybe`: `maybe` is neither true nor false; such as `--raw-names`"),
            (
                Setting::ExitCodeOnError,
                "256",
                "`--exit-code-on-error 256`: `256` is not between 0 and 255; such as `--exit-code-on-error 1`",
            ),
        ];
        for (setting, text, expected) in cases {
            assert_eq!(message(&[(setting, text)], &[], None), expected);
        }
    }

    #[test]
    fn bad_variables_and_keys_are_named_where_they_stand() {
        let cases = [
            (
                message(&[], &[("LUNAMOTH_USERS", "abc")], None),
                "`LUNAMOTH_USERS=abc`: `abc` is not a whole number; such as `LUNAMOTH_USERS=50`",
            ),
            (message(&[], &[("LOCUST_USERS", "x")], None), "`LOCUST_USERS=x`: `x` is not a whole number; such as `LOCUST_USERS=50`"),
            (
                message(&[], &[], Some("# load\nusers = \"many\"\n")),
                "load.toml:2: `users = many`: `many` is not a whole number; such as `users = 50`",
            ),
            (
                message(&[], &[], Some("\n\ntimeout = [1]")),
                "load.toml:3: `timeout = [1]`: takes one plain value, not this array; such as `timeout = \"30s\"`",
            ),
            (
                message(&[], &[], Some("set = 5")),
                "load.toml:1: `set = 5`: takes a table of names and values; such as `set = { tenant = \"blue\" }`",
            ),
            (message(&[], &[], Some("users = 1\nspawn-rate = 5")), "load.toml:2: unknown key `spawn-rate`; did you mean `spawn_rate`?"),
            (message(&[], &[], Some("zebra = 1")), "load.toml:1: unknown key `zebra`"),
            (message(&[], &[], Some("config = \"x\"")), "load.toml:1: unknown key `config`"),
        ];
        for (message, expected) in cases {
            assert_eq!(message, expected);
        }
        let broken = message(&[], &[], Some("users = 1\nrun_time = \n"));
        assert!(broken.starts_with("load.toml:2: "), "{broken}");
    }

    #[test]
    fn lists_and_pairs_are_read_the_same_from_all_places() {
        let tags = vec!["read".to_owned(), "slow".to_owned()];
        for (flags, variables, file) in [
            (vec![(Setting::Tags, "read"), (Setting::Tags, "slow")], vec![], None),
            (vec![(Setting::Tags, "read, slow")], vec![], None),
            (vec![], vec![("LUNAMOTH_TAGS", "read,slow")], None),
            (vec![], vec![], Some("tags = [\"read\", \"slow\"]")),
        ] {
            assert_eq!(resolve(&flags, &variables, file).unwrap().0.tags, tags);
        }
        let (settings, _) = resolve(
            &[(Setting::Set, "a=flag"), (Setting::Set, "d=x=y,z")],
            &[("LUNAMOTH_SET", "b=env;c=env")],
            Some("[set]\na = \"file\"\nb = 1\ne = true"),
        )
        .unwrap();
        let pairs: Vec<(&str, &str)> = settings.set.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "flag"), ("b", "env"), ("c", "env"), ("d", "x=y,z"), ("e", "true")]);
    }

    #[test]
    fn the_default_file_says_what_the_code_does() {
        assert_eq!(resolve(&[], &[], Some(DEFAULT_FILE)).unwrap().0, Settings::default());
        // Settings without a default stand there as comments; what these show must be right too.
        let live: String = DEFAULT_FILE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(code) if Setting::of_key(code.split(' ').next().unwrap_or_default()).is_some() && code.contains(" = ") => code,
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n");
        resolve(&[], &[], Some(&live)).unwrap();
        let table: BTreeMap<String, toml::Value> = toml::from_str(&live).unwrap();
        let described: Vec<&str> = table.keys().map(String::as_str).collect();
        let mut keys: Vec<&str> = Setting::ALL.iter().map(|setting| setting.key()).filter(|key| *key != "config").collect();
        keys.sort_unstable();
        assert_eq!(described, keys);
    }

    #[test]
    fn every_example_is_a_right_value_in_every_place() {
        for setting in Setting::ALL.into_iter().filter(|setting| *setting != Setting::Config) {
            let variable = setting.variable();
            let by_flag = resolve(&[(setting, setting.example())], &[], None).unwrap().0;
            assert_eq!(by_flag, resolve(&[], &[(&variable, setting.example())], None).unwrap().0, "{variable}");
            assert_eq!(by_flag, resolve(&[], &[], Some(&setting.example_in_file())).unwrap().0, "{variable}");
        }
    }

    #[test]
    fn any_of_users_rate_and_time_replaces_the_scenarios_load() {
        let own = LoadProfile::plain(20, 2.0, None);
        let with = |flags: &[(Setting, &str)]| resolve(flags, &[], None).unwrap().0;
        assert_eq!(with(&[]).profile(Some(own.clone())).0, own);
        assert_eq!(with(&[]).profile(None).0, LoadProfile::plain(1, 1.0, None));
        let (profile, line) = with(&[(Setting::RunTime, "90s")]).profile(Some(own));
        assert_eq!(profile, LoadProfile::plain(1, 1.0, Some(Duration::from_secs(90))));
        assert_eq!(line, "users: 1 at 1 per second, for 1m 30s; -u -r -t replace the scenario's load as a whole");
        let (profile, _) = with(&[(Setting::Users, "8"), (Setting::SpawnRate, "4")]).profile(None);
        assert_eq!(profile, LoadProfile::plain(8, 4.0, None));
    }
}
