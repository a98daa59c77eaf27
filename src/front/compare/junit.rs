//! A comparison for a build server: a test case for each limit and entry.

use super::{Shown, figures};
use crate::front::text::xml_text;
use crate::stats::comparison::State;

/// JUnit's XML. A limit that is broken is a failure; one that cannot be judged is skipped, with the reason.
#[must_use]
pub fn junit(shown: &Shown<'_>) -> String {
    let (command, outcomes) = (shown.names.command, &shown.comparison.outcomes);
    let failures = outcomes.iter().filter(|outcome| outcome.state.is_broken()).count();
    let skipped = outcomes.iter().filter(|outcome| matches!(outcome.state, State::Unjudged(_))).count();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"", outcomes.len());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"lunamoth {command}\" {counts} time=\"0\">\n"
    );
    for outcome in outcomes {
        let words = xml_text(&figures::outcome(outcome));
        let head = format!(
            "    <testcase classname=\"lunamoth.{command}.{}\" name=\"{}\" time=\"0\"",
            xml_text(&outcome.limit),
            xml_text(&format!("{}: {}", outcome.limit, outcome.name)),
        );
        let case = match outcome.state {
            State::Broken | State::Failing(_) => format!("{head}>\n      <failure message=\"{words}\" type=\"limit\"/>\n    </testcase>\n"),
            State::Unjudged(_) => format!("{head}>\n      <skipped message=\"{words}\"/>\n    </testcase>\n"),
            State::Kept | State::Unsure => format!("{head}>\n      <system-out>{words}</system-out>\n    </testcase>\n"),
        };
        text.push_str(&case);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}
