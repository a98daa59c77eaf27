//! Prometheus' text format, version 0.0.4: families of samples with escaped labels. Knows no metric.

use std::fmt::{Display, Write as _};

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics as it is written.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    /// The family that samples belong to.
    family: &'static str,
}

impl Exposition {
    /// Begins a family. All its samples follow, before the next one.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        self.family = name;
        let kind = kind.word();
        // Writing to a string does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample of the family.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// One sample of a part of the family, such as `_sum` of a histogram. Floats are written so that they are read as they were.
    pub fn part(&mut self, part: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{part}", self.family);
        let mut before = '{';
        for (name, value) in labels {
            let _ = write!(self.text, "{before}{name}=\"");
            escape(&mut self.text, value);
            self.text.push('"');
            before = ',';
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(&[], value);
    }

    /// All that was written, in the text format of Prometheus.
    pub fn finish(self) -> String {
        self.text
    }
}

/// What a family's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only rises, until it begins anew.
    Counter,
    /// Rises and falls as it likes.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_numbers_whole() {
        let mut page = Exposition::default();
        page.family("a_total", Kind::Counter, "Of a.");
        page.sample(&[("x", "\"q\" \\ \n"), ("y", "日")], 3_u64);
        page.single("b", Kind::Gauge, "Of b.", 0.1);
        let text = "# HELP a_total Of a.\n# TYPE a_total counter\na_total{x=\"\\\"q\\\" \\\\ \\n\",y=\"日\"} 3\n\
                    # HELP b Of b.\n# TYPE b gauge\nb 0.1\n";
        assert_eq!(page.finish(), text);
    }
}
