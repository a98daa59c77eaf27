//! What many requests have in common: the settings of `http.defaults` and `http.client`, with their headers written down once.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::address::Base;
use super::connections::ConnectionSettings;
use super::expect::Expect;
use super::headers::{Field, lay_over, sends, speaks_of, usual, write_block};
use crate::plan::NamedProfile;
use crate::protocol::http::Context;
use crate::stats::tags;

/// Settings of many requests. `Rc` and never changed: a change makes another one.
#[derive(Debug)]
pub(super) struct Template {
    /// What it says besides headers.
    pub(super) settings: Settings,
    /// All fields that go out: the usual ones under its own.
    pub(super) fields: Vec<Field>,
    /// `fields` as they go out: what the usual request sends as it is.
    pub(super) block: Vec<u8>,
    /// `fields` bear a `host`.
    pub(super) has_host: bool,
    /// `fields` say something of `cookie`, so that the jar does not.
    pub(super) has_cookie: bool,
    /// Its own fields, those that leave something out included.
    own: Vec<Field>,
}

impl Template {
    /// Settings and fields over the usual headers.
    pub(super) fn new(settings: Settings, own: Vec<Field>) -> Self {
        let mut fields = usual();
        lay_over(&mut fields, &own);
        let mut block = Vec::new();
        write_block(&fields, &mut block);
        block.shrink_to_fit();
        Self { settings, has_host: sends(&fields, "host"), has_cookie: speaks_of(&fields, "cookie"), fields, block, own }
    }

    /// The usual headers, and the tags of a named profile.
    pub(super) fn of_profile(profile: &NamedProfile) -> Self {
        let mut tags = profile.tags.clone();
        tags.insert(tags::PROFILE.to_owned(), profile.name.clone());
        Self::new(Settings { tag_text: tags::text_of(&tags).into(), tags, ..Settings::default() }, Vec::new())
    }

    /// This one where it says something, `lower` elsewhere.
    pub(super) fn over(&self, lower: &Self) -> Self {
        let mut own = lower.own.clone();
        lay_over(&mut own, &self.own);
        Self::new(self.settings.over(&lower.settings), own)
    }
}

/// What a request obeys besides its headers. `None` leaves it to the layer below.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// Where relative URLs go.
    pub(super) host: Option<Base>,
    /// From the ask to the last byte, redirects included.
    pub(super) timeout: Option<Duration>,
    /// How many are followed; 0 follows none.
    pub(super) redirects: Option<u32>,
    /// Count the body's bytes and throw them away.
    pub(super) discard: Option<bool>,
    /// Which connections it may have.
    pub(super) connection: ConnectionSettings,
    /// Whether the user's jar sends and takes cookies.
    pub(super) uses_jar: Option<bool>,
    /// What the last answer must be like.
    pub(super) expect: Option<Rc<Expect>>,
    /// The surroundings of connections with certificates of its own; of a client only. What cannot be made is no client, so that a request
    /// never goes out without the certificate that it names.
    pub(super) identity: Option<Rc<Context>>,
    /// Tags, those of higher layers added.
    pub(super) tags: BTreeMap<String, String>,
    /// The same as they stand behind a name.
    pub(super) tag_text: Rc<str>,
}

impl Settings {
    /// The tags of both; of one in both, this one's.
    pub(super) fn tags_over(&self, lower: &Self) -> BTreeMap<String, String> {
        let mut tags = lower.tags.clone();
        tags.extend(self.tags.clone());
        tags
    }

    /// This one where it says something, `lower` elsewhere.
    pub(super) fn over(&self, lower: &Self) -> Self {
        Self {
            host: self.host.clone().or_else(|| lower.host.clone()),
            timeout: self.timeout.or(lower.timeout),
            redirects: self.redirects.or(lower.redirects),
            discard: self.discard.or(lower.discard),
            connection: self.connection.over(&lower.connection),
            uses_jar: self.uses_jar.or(lower.uses_jar),
            expect: self.expect.clone().or_else(|| lower.expect.clone()),
            identity: self.identity.clone().or_else(|| lower.identity.clone()),
            tag_text: tags::text_of(&self.tags_over(lower)).into(),
            tags: self.tags_over(lower),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_lies_over_the_defaults() {
        let defaults = Template::new(
            Settings { timeout: Some(Duration::from_secs(1)), redirects: Some(3), ..Settings::default() },
            vec![Field::new("authorization", b"a"), Field::new("x-one", b"1")],
        );
        let client =
            Template::new(Settings { timeout: Some(Duration::from_secs(2)), ..Settings::default() }, vec![Field::without("Authorization")]);
        let both = client.over(&defaults);
        assert_eq!((both.settings.timeout, both.settings.redirects), (Some(Duration::from_secs(2)), Some(3)));
        let block = String::from_utf8(both.block.clone()).unwrap();
        assert!(block.contains("x-one: 1\r\n") && block.contains("user-agent: lunamoth/") && !block.contains("uthorization"), "{block}");
        assert!(!both.has_host);
    }
}
