//! The XML of `--out junit=FILE`: what a build server shows of a run. A test case for the run as a whole and for each threshold.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::output::Output;
use super::place::Place;
use super::{Closing, ReportError};
use crate::front::text::xml_text;
use crate::stats::snapshot::Snapshot;

/// The report's place, known from before the run; a file only when it is whole.
#[derive(Debug)]
pub struct JunitFile(Place);

impl JunitFile {
    /// Looks at the place, and creates the folder before it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        Place::new(path).map(Self)
    }
}

impl Output for JunitFile {
    fn keys(&self) -> Vec<PathBuf> {
        vec![self.0.key()]
    }

    fn on_snapshot(&mut self, _: &Snapshot) -> Result<(), ReportError> {
        Ok(())
    }

    fn finish(&mut self, last: &Snapshot, closing: &Closing) -> Result<(), ReportError> {
        self.0.finish(&render(last, closing))
    }
}

/// One of the file's test cases.
struct Case<'a> {
    class: &'static str,
    name: String,
    passed: bool,
    words: &'a str,
}

/// The shape that Jenkins, GitLab and GitHub's actions read: suites, a suite, cases with a failure or what they said.
fn render(last: &Snapshot, closing: &Closing) -> String {
    let run = Case { class: "run", name: last.scenario.clone(), passed: closing.has_passed, words: &closing.words };
    let thresholds = last.thresholds.iter().map(|threshold| Case {
        class: "threshold",
        name: format!("{}: {}", threshold.metric, threshold.condition),
        passed: threshold.passed,
        words: &threshold.actual,
    });
    let cases: Vec<Case> = std::iter::once(run).chain(thresholds).collect();
    let failures = cases.iter().filter(|case| !case.passed).count();
    let time = last.elapsed.as_secs_f64();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{time:.3}\"", cases.len());
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"lunamoth\" {counts}>\n");
    for Case { class, name, passed, words } in cases {
        let (name, words) = (xml_text(&name), xml_text(words));
        let said =
            if passed { format!("<system-out>{words}</system-out>") } else { format!("<failure message=\"{words}\" type=\"{class}\"/>") };
        let case = writeln!(text, "    <testcase classname=\"lunamoth.{class}\" name=\"{name}\" time=\"{time:.3}\">{said}</testcase>");
        case.expect("a text takes what is written to it");
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::snapshot::ThresholdView;

    #[test]
    fn the_run_and_each_threshold_are_a_case_and_those_that_failed_say_why() {
        let threshold = |condition: &str, actual: &str, passed| ThresholdView {
            metric: "http_req_duration{name:\"/a&b\"}".to_owned(),
            condition: condition.to_owned(),
            actual: actual.to_owned(),
            passed,
        };
        let last = Snapshot {
            scenario: "shop".to_owned(),
            elapsed: Duration::from_millis(61_500),
            thresholds: vec![threshold("p(99) < 200ms", "183.2ms", true), threshold("max < 1s", "1.2s", false)],
            ..Snapshot::default()
        };
        let closing = Closing { is_complete: true, exit_code: 1, has_passed: false, words: "FAILED: 1 of 2 thresholds".to_owned() };
        let text = render(&last, &closing);
        assert!(text.contains("<testsuites tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"0\" time=\"61.500\">"), "{text}");
        for expected in [
            "<testcase classname=\"lunamoth.run\" name=\"shop\" time=\"61.500\"><failure message=\"FAILED: 1 of 2 thresholds\" type=\"run\"/>",
            "name=\"http_req_duration{name:&quot;/a&amp;b&quot;}: p(99) &lt; 200ms\" time=\"61.500\"><system-out>183.2ms</system-out>",
            "max &lt; 1s\" time=\"61.500\"><failure message=\"1.2s\" type=\"threshold\"/>",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }
}
