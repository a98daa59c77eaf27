//! Why a master has not done what was asked of it, in words that help.

use crate::front::console::ExitCode;
use crate::front::text::escape;

/// Why a master has not done what was asked of it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum ClientError {
    /// The settings allow no connection at all.
    #[error("{0}")]
    Setup(String),
    /// Nobody answers, or what is said is not understood.
    #[error("the master at {url} cannot be reached: {problem}{hint}")]
    Unreachable {
        /// As it was given.
        url: String,
        /// What the connection says.
        problem: String,
        /// What may help; begins with its own punctuation.
        hint: &'static str,
    },
    /// The master lets nobody in without a token, or not with this one.
    #[error("the master at {url} does not let you in: {detail}{hint}")]
    NotLetIn {
        /// As it was given.
        url: String,
        detail: String,
        /// What may help; begins with its own punctuation.
        hint: &'static str,
    },
    /// Something else than a master's API is there.
    #[error("there is no API of a master at {url}: {problem}")]
    Elsewhere {
        /// As it was given.
        url: String,
        problem: String,
    },
    /// What was asked for makes no sense to the master.
    #[error("{detail}")]
    Parameter {
        /// The master's words, the parameter in front.
        detail: String,
    },
    /// The master says no.
    #[error("the master declines: {detail}")]
    Declined { detail: String },
    /// The master is in trouble, or ends.
    #[error("the master at {url} fails with status {status}: {detail}")]
    Failing {
        /// As it was given.
        url: String,
        status: u16,
        detail: String,
    },
}

impl ClientError {
    /// 1 where the master declines, 2 for bad use, 3 where it cannot be asked.
    #[must_use]
    pub const fn exit_code(&self) -> ExitCode {
        match self {
            Self::Declined { .. } => ExitCode::RequestsFailed(1),
            Self::Setup(_) | Self::Parameter { .. } => ExitCode::BadUse,
            Self::Unreachable { .. } | Self::NotLetIn { .. } | Self::Elsewhere { .. } | Self::Failing { .. } => ExitCode::ClusterLost,
        }
    }

    /// Whether the same question may have an answer a moment later.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Failing { .. })
    }

    pub(super) fn unreachable(url: &str, error: &reqwest::Error) -> Self {
        let problem = innermost(error);
        let hint = if problem.contains("certificate") {
            "; --ca-file FILE trusts its authority, --insecure-tls any certificate"
        } else if problem.contains("InvalidContentType") || problem.contains("corrupt message") {
            "; does it speak plain HTTP? try http://"
        } else if error.is_connect() {
            "; is it running, and are address and port right?"
        } else {
            ""
        };
        let problem = if error.is_timeout() { "it does not answer in time".to_owned() } else { problem };
        Self::Unreachable { url: url.to_owned(), problem: escape(&problem).into_owned(), hint }
    }
}

/// The last cause: reqwest's own words say only that something went wrong, and where.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}
