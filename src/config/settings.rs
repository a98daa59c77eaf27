//! The settings, checked: a field for each row, and the order of the layers.
//!
//! What follows from several together is in `meaning` and `profile`.
//!
//! There is no setting for how often workers report: it is once a second, and the tables of master and worker count on that.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::{BindAddress, DEFAULT_MASTER_PORT, MasterAddress};
use super::environment::{self, Environment};
use super::error::{ConfigError, Warning};
use super::file;
use super::layer::{Layer, Origin};
use super::rows::all_settings;
use super::secret::{PREVIOUS_SECRET_VARIABLE, SECRET_VARIABLE, Secret, WEB_TOKEN_VARIABLE};
use super::setting::Setting;
use super::values;
use super::words::{LogFormat, LogLevel, OnTerm, OrphanMode, ReloadMode};
use crate::plan::{DnsMode, Rate, RunSettings, Words as _};

macro_rules! settings {
    (
        { $( $(#[doc = $help:literal])+ $own:ident($field:ident): $type:ty = $default:expr => $own_row:tt; )* }
        $( $(#[doc = $_:literal])+ $travelling:ident($place:ident): $t:ty = $d:expr => $row:tt; )*
    ) => {
        /// Every setting of a run, checked. `None` means that nobody said anything, where that has a meaning of its own.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $( #[doc = concat!("```text\n", $($help,)+ "\n```")] pub $field: $type, )*
            /// Those that travel in the plan.
            pub run: RunSettings,
            /// The text of `ca_file`; [`load`](super::load()) fills it.
            pub extra_roots: Option<String>,
            /// What who uses the API has to know: of its variable, or of `web_token_file`, which [`load`](super::load()) reads.
            pub web_token: Option<Secret>,
            /// The cluster's secret: of its variable, or of `secret_file`, which [`load`](super::load()) reads.
            pub secret: Option<Secret>,
            /// Accepted beside `secret`. Never given without it.
            pub previous_secret: Option<Secret>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $( $field: $default, )*
                    run: RunSettings::default(),
                    extra_roots: None,
                    web_token: None,
                    secret: None,
                    previous_secret: None,
                }
            }
        }

        impl Settings {
            /// Takes one setting's texts over. The error is the problem alone.
            fn apply(&mut self, setting: Setting, texts: &[String]) -> Result<(), String> {
                match setting {
                    $( Setting::$own => settings! { @read self.$field, texts, $own_row }, )*
                    $( Setting::$travelling => settings! { @read self.run.$place, texts, $row }, )*
                }
                Ok(())
            }
        }
    };
    (@read $place:expr, $texts:ident, ($group:ident, List($reader:expr), $($rest:tt)*)) => { $place = ($reader)($texts)? };
    (@read $place:expr, $texts:ident, ($group:ident, Pairs($reader:expr), $($rest:tt)*)) => {
        for pair in $texts {
            $place.extend([($reader)(pair)?]);
        }
    };
    // Of a flag that was typed twice the last one counts, as is usual.
    (@read $place:expr, $texts:ident, ($group:ident, $kind:ident($reader:expr), $($rest:tt)*)) => {
        $place = ($reader)($texts.last().map_or("", String::as_str))?.into()
    };
}

all_settings! { settings }

impl Settings {
    /// Puts the layers together: defaults, `LOCUST_*`, the file (its path and text), `LUNAMOTH_*`, flags; later ones win.
    ///
    /// `set` is put together name by name. A setting that excludes others takes the place of those that an earlier layer gives, and has none of them beside it in
    /// its own. A value that cannot be used is an error even where a later layer hides it.
    ///
    /// # Errors
    /// A value or a key that is wrong, with the place where it stands and a right example.
    pub fn resolve(
        typed: &Layer,
        variables: impl IntoIterator<Item = (String, String)>,
        file: Option<(&Path, &str)>,
    ) -> Result<(Self, Vec<Warning>), ConfigError> {
        let Environment { own, locust: fallbacks, mut warnings, secret, previous_secret, web_token } = environment::read(variables);
        let file = file.map(|(path, text)| file::read(path, text)).transpose()?.unwrap_or_default();
        let mut locust = Layer::default();
        for (setting, name, value) in fallbacks {
            if [&file, &own, typed].iter().all(|layer| !layer.has(setting)) {
                locust.insert(setting, vec![value.clone()], Origin::Variable(name.to_owned()));
                warnings.push(Warning::LocustVariable { name, value, setting });
            }
        }
        let mut settings = Self::default();
        let layers = [&locust, &file, &own, typed];
        for (place, layer) in layers.into_iter().enumerate() {
            for (setting, given) in layer.iter() {
                let wrong = |problem| ConfigError::Value { setting, origin: given.origin.clone(), text: given.texts.join(","), problem };
                if let Some(other) = layer.rival_of(setting) {
                    return Err(wrong(format!("not together with `{}`", other.key())));
                }
                // What a later layer says in its place wins, as it does over the same setting.
                let is_replaced = layers[place + 1..].iter().any(|later| later.rival_of(setting).is_some());
                let taker = if is_replaced { &mut Self::default() } else { &mut settings };
                taker.apply(setting, &given.texts).map_err(wrong)?;
            }
        }
        settings.take_secrets(secret, previous_secret)?;
        settings.take_token(web_token)?;
        Ok((settings, warnings))
    }

    /// Takes over the variables that stand outside the layers, since secrets have neither flag nor key.
    fn take_secrets(&mut self, secret: Option<Secret>, previous: Option<Secret>) -> Result<(), ConfigError> {
        for (secret, place) in [(&secret, SECRET_VARIABLE), (&previous, PREVIOUS_SECRET_VARIABLE)] {
            if let Some(problem) = secret.as_ref().and_then(Secret::problem) {
                return Err(ConfigError::Secret { place: place.to_owned(), problem });
            }
        }
        match (&secret, &self.secret_file) {
            // Which one is meant cannot be known, and the wrong one would show as workers that are refused.
            (Some(_), Some(path)) => return Err(ConfigError::TwoSecrets { path: path.clone() }),
            (None, None) if previous.is_some() => return Err(ConfigError::PreviousSecretAlone),
            _ => {}
        }
        self.secret = secret;
        self.previous_secret = previous;
        Ok(())
    }

    /// Takes over the variable of the API's token, which stands outside the layers as well.
    fn take_token(&mut self, token: Option<Secret>) -> Result<(), ConfigError> {
        if let Some(problem) = token.as_ref().and_then(Secret::token_problem) {
            return Err(ConfigError::Token { place: WEB_TOKEN_VARIABLE.to_owned(), problem });
        }
        if let (Some(_), Some(path)) = (&token, &self.web_token_file) {
            return Err(ConfigError::TwoTokens { path: path.clone() });
        }
        self.web_token = token;
        Ok(())
    }
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
            (
                Setting::SpawnRate,
                "x",
                "`-r x`: `x` is not a number of users per second, nor with `/m` per minute or with `/h` per hour; such as `-r 5`",
            ),
            (
                Setting::RunTime,
                "5x",
                "`-t 5x`: `5x` is not a duration: there is no unit `x`, the units are d, h, m, s, ms, us; such as `-t 1h20m`",
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
                message(&[], &[], Some("json = 5")),
                "load.toml:1: `json = 5`: takes a path in quotes; such as `json = \"results/monday.json\"`",
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
    fn bad_settings_of_a_cluster_are_named_with_what_is_wrong() {
        let cases = [
            (Setting::Master, "a:0", "`--master a:0`: `0` is not a port between 1 and 65535; such as `--master lunamoth-master:5557`"),
            (Setting::Bind, "a:1", "`--bind a:1`: `a:1` is not an address with a port; such as `--bind :5557`"),
            (Setting::ExpectWorkers, "0", "`--expect-workers 0`: `0` is not between 1 and 4294967295; such as `--expect-workers 2`"),
            (Setting::OnTerm, "wait", "`--on-term wait`: `wait` is not one of stop, handover; such as `--on-term handover`"),
            (Setting::Orphan, "stop", "`--orphan stop`: `stop` is not one of continue, pause; such as `--orphan pause`"),
            (Setting::Autostart, "maybe", "`--autostart maybe`: `maybe` is neither true nor false; such as `--autostart`"),
            (Setting::State, " ", "`--state  `: the path is empty; such as `--state state`"),
            (
                Setting::AllowHost,
                "http://a,b",
                "`--allow-host http://a,b`: `b` has no `http://` or `https://` in front; such as `--allow-host \
                 http://127.0.0.1:8080,https://shop.example`",
            ),
        ];
        for (setting, text, expected) in cases {
            assert_eq!(message(&[(setting, text)], &[], None), expected);
        }
    }

    #[test]
    fn a_secret_comes_from_one_place_and_is_long_enough() {
        const SECRET: (&str, &str) = ("LUNAMOTH_SECRET", "correct horse battery");
        const PREVIOUS: (&str, &str) = ("LUNAMOTH_SECRET_PREVIOUS", "staple staple");
        let file = (Setting::SecretFile, "secret.txt");
        let settings = resolve(&[], &[SECRET, PREVIOUS], None).unwrap().0;
        assert_eq!(settings.secret.as_ref().map(Secret::reveal), Some("correct horse battery"));
        assert_eq!(settings.previous_secret.as_ref().map(Secret::reveal), Some("staple staple"));
        assert!(resolve(&[file], &[PREVIOUS], None).is_ok());
        let cases = [
            (
                message(&[file], &[SECRET], None),
                "the cluster's secret is given twice, by LUNAMOTH_SECRET and by `secret.txt`, named by `--secret-file`: leave one out",
            ),
            (
                message(&[], &[PREVIOUS], None),
                "LUNAMOTH_SECRET_PREVIOUS is accepted only beside the secret that follows it: give that as LUNAMOTH_SECRET or --secret-file",
            ),
            (
                message(&[], &[("LUNAMOTH_SECRET", "hush")], None),
                "the cluster's secret in `LUNAMOTH_SECRET` has fewer than 12 characters: `lunamoth secret` makes a right one",
            ),
            (
                message(&[], &[SECRET, ("LUNAMOTH_SECRET_PREVIOUS", "hush")], None),
                "the cluster's secret in `LUNAMOTH_SECRET_PREVIOUS` has fewer than 12 characters: `lunamoth secret` makes a right one",
            ),
            (message(&[], &[], Some("secret = \"hush\"")), "load.toml:1: unknown key `secret`; did you mean `secret_file`?"),
        ];
        for (message, expected) in cases {
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn a_web_token_comes_from_one_place_and_can_be_sent_in_a_header() {
        let token = |text: &'static str| [("LUNAMOTH_WEB_TOKEN", text)];
        let settings = resolve(&[], &token("open sesame 1234\n"), None).unwrap().0;
        assert_eq!(settings.web_token.as_ref().map(Secret::reveal), Some("open sesame 1234"));
        assert!(!format!("{settings:?}").contains("sesame"));
        for (text, problem) in [
            ("hush", "has fewer than 12 characters"),
            (" twelve_twelve", "begins or ends with a blank"),
            ("twelve\ntwelve", "holds a control character, such as the end of a line"),
        ] {
            let expected = format!("the token of the web monitor in `LUNAMOTH_WEB_TOKEN` {problem}: `lunamoth secret` makes a right one");
            assert_eq!(message(&[], &token(text), None), expected);
        }
        assert_eq!(
            message(&[(Setting::WebTokenFile, "token.txt")], &token("open sesame 1234"), None),
            "the token of the web monitor is given twice, by LUNAMOTH_WEB_TOKEN and by `token.txt`, named by `--web-token-file`: leave one out"
        );
        assert!(message(&[], &[], Some("web_token = \"hush\"")).starts_with("load.toml:1: unknown key `web_token`"));
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
        // Those that go without others stand there beside them.
        let takes_a_place = |line: &&str| {
            Setting::of_key(line.split(' ').next().unwrap_or_default()).is_some_and(|setting| !setting.row().excludes.is_empty())
        };
        let (apart, together): (Vec<&str>, Vec<&str>) = live.lines().partition(takes_a_place);
        resolve(&[], &[], Some(&together.join("\n"))).unwrap();
        apart.iter().for_each(|line| drop(resolve(&[], &[], Some(line)).unwrap()));
        let table: BTreeMap<String, toml::Value> = toml::from_str(&live).unwrap();
        let described: Vec<&str> = table.keys().map(String::as_str).collect();
        let mut keys: Vec<&str> = Setting::ALL.iter().map(|setting| setting.key()).filter(|key| *key != "config").collect();
        keys.sort_unstable();
        assert_eq!(described, keys);
    }

    #[test]
    fn what_excludes_another_setting_takes_its_place_in_later_layers_and_is_refused_beside_it() {
        let load = |flags: &[(Setting, &str)], variables: &[(&str, &str)], file: Option<&str>| {
            let settings = resolve(flags, variables, file).unwrap().0;
            (settings.users, settings.rate.map(|rate| rate.to_string()), settings.only)
        };
        let users = (Some(3), None, Vec::new());
        assert_eq!(load(&[(Setting::Users, "3")], &[("LUNAMOTH_RATE", "5/s")], None), users);
        assert_eq!(load(&[], &[("LUNAMOTH_USERS", "3")], Some("rate = \"5/s\"")), users);
        assert_eq!(load(&[(Setting::Rate, "5/s")], &[], Some("users = 3")), (None, Some("5/s".to_owned()), Vec::new()));
        assert_eq!(load(&[(Setting::Only, "buy")], &[], Some("users = 3")), (None, None, vec!["buy".to_owned()]));
        assert!(
            message(&[], &[], Some("users = 3\nrate = \"5/s\"")).starts_with("load.toml:"),
            "{}",
            message(&[], &[], Some("users = 3\nrate = \"5/s\""))
        );
        assert!(message(&[], &[("LUNAMOTH_USERS", "3"), ("LUNAMOTH_RATE", "5/s")], None).contains("not together with"));
        // A wrong value is an error even where it is hidden.
        assert!(message(&[(Setting::Users, "3")], &[("LUNAMOTH_RATE", "x")], None).contains("LUNAMOTH_RATE"));
    }

    #[test]
    fn every_example_is_a_right_value_in_every_place() {
        for setting in Setting::ALL.iter().copied().filter(|setting| *setting != Setting::Config) {
            let variable = setting.variable();
            let by_flag = resolve(&[(setting, setting.example())], &[], None).unwrap().0;
            assert_eq!(by_flag, resolve(&[], &[(&variable, setting.example())], None).unwrap().0, "{variable}");
            assert_eq!(by_flag, resolve(&[], &[], Some(&setting.example_in_file())).unwrap().0, "{variable}");
        }
    }
}
