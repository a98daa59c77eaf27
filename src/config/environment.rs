//! Settings and secrets from environment variables: `LUNAMOTH_*`, and four of Locust's as fallbacks.

use super::error::Warning;
use super::layer::{Layer, Origin};
use super::secret::{PREVIOUS_SECRET_VARIABLE, SECRET_VARIABLE, Secret, WEB_TOKEN_VARIABLE};
use super::setting::{Kind, Setting, nearest};

/// What the environment gives.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Of `LUNAMOTH_*`.
    pub(super) own: Layer,
    /// Of `LOCUST_*`: below the file, so that a value meant for us always wins.
    pub(super) locust: Vec<(Setting, &'static str, String)>,
    /// Of variables that are no setting.
    pub(super) warnings: Vec<Warning>,
    /// Of [`SECRET_VARIABLE`], unchecked.
    pub(super) secret: Option<Secret>,
    /// Of [`PREVIOUS_SECRET_VARIABLE`], unchecked.
    pub(super) previous_secret: Option<Secret>,
    /// Of [`WEB_TOKEN_VARIABLE`], unchecked.
    pub(super) web_token: Option<Secret>,
}

/// Sorts the variables. An empty value counts as not set, since templates of manifests leave such behind.
pub(super) fn read(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
    let mut environment = Environment::default();
    let mut variables: Vec<(String, String)> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    variables.sort_unstable();
    for (name, value) in variables {
        if let Some((locust, setting)) = LOCUST.into_iter().find(|(locust, _)| *locust == name) {
            environment.locust.push((setting, locust, value));
        } else if name == "NO_COLOR" {
            // The convention of no-color.org: any value that is not empty. Our own variable comes before it.
            if !environment.own.has(Setting::NoColor) {
                environment.own.insert(Setting::NoColor, vec!["true".to_owned()], Origin::Variable(name));
            }
        } else if name == SECRET_VARIABLE {
            environment.secret = Some(Secret::new(&value));
        } else if name == PREVIOUS_SECRET_VARIABLE {
            environment.previous_secret = Some(Secret::new(&value));
        } else if name == WEB_TOKEN_VARIABLE {
            environment.web_token = Some(Secret::new(&value));
        } else if let Some(setting) = Setting::of_variable(&name) {
            environment.own.insert(setting, texts(setting, &value), Origin::Variable(name));
        } else if name.starts_with("LUNAMOTH_") && !is_service_link(&name, &value) {
            let secrets = [SECRET_VARIABLE, PREVIOUS_SECRET_VARIABLE, WEB_TOKEN_VARIABLE].map(str::to_owned);
            let nearest = nearest(&name, Setting::ALL.iter().map(|setting| setting.variable()).chain(secrets));
            environment.warnings.push(Warning::UnknownVariable { name, nearest });
        }
    }
    environment
}

fn texts(setting: Setting, value: &str) -> Vec<String> {
    if setting.row().kind == Kind::Pairs {
        // Values may hold commas, so pairs stand on lines of their own or between semicolons.
        return value.split([';', '\n']).map(str::trim).filter(|pair| !pair.is_empty()).map(str::to_owned).collect();
    }
    vec![value.to_owned()]
}

/// Whether Kubernetes made this variable for a service whose name begins with `lunamoth`.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_port =
        name.ends_with("_PORT") || name.split_once("_PORT_").is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_port
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme))
}

/// Locust's variables that are read where nothing of ours gives the setting.
const LOCUST: [(&str, Setting); 4] = [
    ("LOCUST_HOST", Setting::Host),
    ("LOCUST_USERS", Setting::Users),
    ("LOCUST_SPAWN_RATE", Setting::SpawnRate),
    ("LOCUST_RUN_TIME", Setting::RunTime),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn kubernetes_service_links_raise_no_warning() {
        let environment = environment(&[
            ("LUNAMOTH_PORT", "tcp://10.0.0.1:8089"),
            ("LUNAMOTH_SERVICE_HOST", "10.0.0.1"),
            ("LUNAMOTH_SERVICE_PORT", "8089"),
            ("LUNAMOTH_MASTER_SERVICE_HOST", "10.0.0.1"),
            ("LUNAMOTH_MASTER_SERVICE_PORT_WEB", "8089"),
            ("LUNAMOTH_MASTER_PORT", "udp://10.0.0.1:5557"),
            ("LUNAMOTH_MASTER_PORT_5557_UDP", "udp://10.0.0.1:5557"),
            ("LUNAMOTH_MASTER_PORT_8089_TCP_PORT", "8089"),
            ("LUNAMOTH_WORKER_PORT_5557_UDP", "udp://10.0.0.1:5557"),
            ("LUNAMOTH_WORKER_PORT_5557_UDP_PROTO", "udp"),
            ("LUNAMOTH_TARGET_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("HOME", "/root"),
        ]);
        assert_eq!(environment.warnings, []);
        assert_eq!(environment.own, Layer::default());
    }

    #[test]
    fn an_unknown_variable_is_a_warning_with_the_nearest_name() {
        let environment = environment(&[("LUNAMOTH_SECRETS", "hush"), ("LUNAMOTH_USER", "5"), ("LUNAMOTH_ZEBRA", "1")]);
        let texts: Vec<String> = environment.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "the environment variable LUNAMOTH_SECRETS is no setting of this version and is ignored; did you mean `LUNAMOTH_SECRET`?",
                "the environment variable LUNAMOTH_USER is no setting of this version and is ignored; did you mean `LUNAMOTH_USERS`?",
                "the environment variable LUNAMOTH_ZEBRA is no setting of this version and is ignored",
            ]
        );
    }

    #[test]
    fn our_variable_for_colour_comes_before_the_general_one() {
        let environment = environment(&[("NO_COLOR", "1"), ("LUNAMOTH_NO_COLOR", "false")]);
        assert_eq!(environment.own.texts(Setting::NoColor), ["false"]);
    }

    #[test]
    fn secrets_are_taken_apart_from_the_settings() {
        let environment = environment(&[("LUNAMOTH_SECRET", "one\n"), ("LUNAMOTH_SECRET_PREVIOUS", "two")]);
        assert_eq!(environment.secret.as_ref().map(Secret::reveal), Some("one"));
        assert_eq!(environment.previous_secret.as_ref().map(Secret::reveal), Some("two"));
        assert_eq!((&environment.own, environment.warnings.as_slice()), (&Layer::default(), &[][..]));
        assert!(!format!("{environment:?}").contains("\"one"));
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        assert_eq!(environment(&[("LUNAMOTH_USERS", "")]).own, Layer::default());
    }
}
