//! Why a command ended early: the exit code, and the reason for people.

use crate::front::console::ExitCode;

/// Why a command ended early.
pub(super) struct Failure {
    pub(super) code: ExitCode,
    pub(super) reason: anyhow::Error,
}

impl Failure {
    pub(super) fn bad_use(reason: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::BadUse, reason: reason.into() }
    }

    pub(super) fn bug(reason: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Bug, reason: reason.into() }
    }
}

/// An error with its causes. Where an error's own text holds its cause's, the cause is not said twice.
pub(super) fn whole_text(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let read = crate::config::ConfigError::Read {
            path: "x.toml".into(),
            named_by: "--config".into(),
            source: std::io::Error::other("no luck"),
        };
        assert_eq!(whole_text(&read.into()), "cannot read `x.toml`, named by `--config`: no luck");
        let inside = anyhow::Error::new(std::io::Error::other("no luck")).context("serve: no luck; choose another address");
        assert_eq!(whole_text(&inside), "serve: no luck; choose another address");
        let other = anyhow::Error::new(std::io::Error::other("no luck")).context("start the target");
        assert_eq!(whole_text(&other), "start the target: no luck");
    }
}
