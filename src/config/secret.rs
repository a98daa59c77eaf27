//! The cluster's secret as a setting: text that is never shown. What is made of it is the cluster's.

/// A secret's text.
///
/// It appears in no error, and `Debug` hides it, so that settings can be printed whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text without the ends of lines behind it, which files and templates leave there.
    pub(super) fn new(text: &str) -> Self {
        Self(text.trim_end_matches(['\n', '\r']).to_owned())
    }

    /// What keeps it from being used, without the text itself.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.0.contains(char::REPLACEMENT_CHARACTER) {
            return Some("is not UTF-8 text");
        }
        (self.0.chars().count() < LEAST_CHARACTERS).then_some("has fewer than 12 characters")
    }

    /// The text, for the cluster's identity alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// Shorter ones can be guessed, however they are stretched.
const LEAST_CHARACTERS: usize = 12;

/// The variable of the secret. It has no flag and no key, which others could read.
pub(super) const SECRET_VARIABLE: &str = "LUNAMOTH_SECRET";

/// The variable of the secret that is still accepted while machines change to another one.
pub(super) const PREVIOUS_SECRET_VARIABLE: &str = "LUNAMOTH_SECRET_PREVIOUS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::new("correct horse battery")), "Secret(hidden)");
    }

    #[test]
    fn the_ends_of_lines_behind_a_secret_are_no_part_of_it() {
        assert_eq!(Secret::new("correct horse \r\n\n").reveal(), "correct horse ");
    }

    #[test]
    fn a_secret_has_twelve_characters_or_more() {
        assert_eq!(Secret::new("elevenelev\u{e9}\n").problem(), Some("has fewer than 12 characters"));
        assert_eq!(Secret::new("twelve_twelv").problem(), None);
        assert_eq!(Secret::new("twelve_twelv\u{fffd}").problem(), Some("is not UTF-8 text"));
    }
}
