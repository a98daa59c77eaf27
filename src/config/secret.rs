//! Secrets as settings, the cluster's and the web monitor's token: text that is never shown. What is made of them is the business of others.

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

    /// What keeps it from being a token, which travels in a header.
    pub(super) fn token_problem(&self) -> Option<&'static str> {
        if self.0.chars().any(char::is_control) {
            return Some("holds a control character, such as the end of a line");
        }
        if self.0.trim() != self.0 {
            return Some("begins or ends with a blank");
        }
        self.problem()
    }

    /// The text, for who checks it alone.
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

/// The variable of the web monitor's token.
pub(super) const WEB_TOKEN_VARIABLE: &str = "LUNAMOTH_WEB_TOKEN";

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
