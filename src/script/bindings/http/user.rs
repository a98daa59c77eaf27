//! What one user has: connections, cookies, defaults.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::SystemTime;

use url::Url;

use crate::script::lane_state::LaneState;
use super::super::super::ledger::Ledger;
use super::super::super::library::OfUser;
use super::address::{Address, Base, is_absolute, is_name, path_name};
use super::detail::Asked;
use super::expect::contradicts_itself;
use super::identity::OfIdentities;
use super::known::{Known, Spelling};
use super::lane::{LaneHttp, Shared};
use super::template::Template;
use crate::load::Halt;
use crate::protocol::http::cookies::Jar;
use crate::protocol::http::{Connections, Headers};
use crate::stats::tags;

/// What one user has: connections, cookies, defaults.
#[derive(Debug)]
pub struct UserHttp {
    pub(super) ledger: Rc<Ledger>,
    shared: Rc<Shared>,
    pub(super) connections: Connections,
    /// Those with certificates of clients.
    pub(super) of_identities: OfIdentities,
    jar: RefCell<Jar>,
    defaults: RefCell<Option<Rc<Template>>>,
    merged: RefCell<Option<Box<Merged>>>,
}

impl OfUser for UserHttp {
    fn new(lane: &Rc<LaneState>, ledger: &Rc<Ledger>) -> Self {
        let shared = &lane.library::<LaneHttp>().shared;
        Self {
            ledger: Rc::clone(ledger),
            shared: Rc::clone(shared),
            connections: Connections::new(Rc::clone(&shared.context)),
            of_identities: OfIdentities::default(),
            jar: RefCell::default(),
            defaults: RefCell::new(ledger.profile().and_then(|profile| shared.of_profile(profile))),
            merged: RefCell::default(),
        }
    }
}

impl UserHttp {
    /// What the lane's users share.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Where relative URLs go: to the scenario's host, or that of the user's side.
    pub(super) fn base(&self) -> Option<&Base> {
        self.shared().base_of(self.ledger.side())
    }

    /// Where a relative URL goes: by the defaults in force, else by the user's class, whose host this is where it has one of its own, else as all of them.
    ///
    /// # Errors
    /// The host of the class cannot be used.
    pub(super) fn base_by<'a>(&'a self, template: &'a Template, class_host: Option<&Rc<str>>) -> Result<Option<Cow<'a, Base>>, String> {
        let of_class = class_host.map(|host| self.shared().class_base(host)).transpose()?;
        let stated = template.settings.host.as_ref().map(Cow::Borrowed).or_else(|| of_class.map(Cow::Owned));
        Ok(stated.or_else(|| self.base().map(Cow::Borrowed)))
    }

    /// Whether `address` is on another host than that of all users.
    pub(super) fn is_foreign(&self, address: &Address) -> bool {
        self.base().is_none_or(|base| !Rc::ptr_eq(&base.origin, &address.origin) && base.origin != address.origin)
    }

    /// The default name of an entry.
    pub(super) fn name_of<'a>(&self, address: &'a Address) -> Cow<'a, str> {
        let name = path_name(&address.path, self.shared().settings.raw_names);
        if self.is_foreign(address) { Cow::Owned(format!("{}{name}", address.origin.authority)) } else { name }
    }

    /// The name with its tags: those of the request and, where it goes to the host of the user's side, that side.
    pub(super) fn tagged<'a>(&self, name: Cow<'a, str>, tags: &str, address: &Address) -> Cow<'a, str> {
        match self.ledger.side().filter(|_| !self.is_foreign(address)) {
            None => tags::tagged(name, tags),
            Some(side) => tags::tagged(name, &tags::on_side(side.name(), tags)),
        }
    }

    /// Notes that the script cannot run without what the plan does not have.
    pub(super) fn misuse(&self, why: &str) {
        self.ledger.lane.halt.borrow_mut().get_or_insert_with(|| Halt::Misuse(why.to_owned()));
    }

    /// Lays `template` over the defaults that the user has.
    pub(super) fn add_defaults(&self, template: &Template) {
        let all = match &*self.defaults.borrow() {
            Some(defaults) => template.over(defaults),
            None => template.over(&self.shared().usual),
        };
        self.defaults.replace(Some(Rc::new(all)));
        self.merged.replace(None);
    }

    /// What a request obeys that is made on `client`, or on none.
    pub(super) fn template(&self, client: Option<Rc<Template>>) -> Rc<Template> {
        let defaults = self.defaults.borrow();
        match (client, &*defaults) {
            (None, None) => Rc::clone(&self.shared().usual),
            (None, Some(defaults)) => Rc::clone(defaults),
            (Some(client), None) => client,
            (Some(client), Some(defaults)) => {
                let mut merged = self.merged.borrow_mut();
                if let Some(merged) = &*merged
                    && Rc::ptr_eq(&merged.client, &client)
                {
                    return Rc::clone(&merged.both);
                }
                let both = Rc::new(client.over(defaults));
                *merged = Some(Box::new(Merged { client, both: Rc::clone(&both) }));
                both
            }
        }
    }

    /// What is known of a request without options that was asked for before, and the template that it obeys. `None` where that is not so, and where what
    /// would be known is not the lane's: of a user with a base of its own, or a side.
    #[inline]
    pub(super) fn known(&self, spelling: Spelling<'_>) -> Option<(Rc<Known>, Rc<Template>)> {
        if self.ledger.side().is_some() || self.ledger.lane.witness.is_some() {
            return None;
        }
        let template = self.template(None);
        let settings = &template.settings;
        if settings.host.is_some() || contradicts_itself(settings.discard.unwrap_or(false), settings.expect.as_deref()) {
            return None;
        }
        let tags = &template.settings.tag_text;
        let known = self.shared().known.find(tags, spelling, || self.know(tags, spelling))?;
        Some((known, template))
    }

    /// `None` where there is more to it: credentials, or a mistake, which whoever makes the request says.
    fn know(&self, tags: &Rc<str>, (method, url, name): Spelling<'_>) -> Option<Known> {
        if url.len() > KNOWN_BYTES_MAX || name.is_some_and(|name| name.len() > KNOWN_BYTES_MAX) {
            return None;
        }
        let (url, name) = (str::from_utf8(url).ok()?, name.map(str::from_utf8).transpose().ok()?);
        if self.base().is_none() && !is_absolute(url) {
            return None;
        }
        let address = self.shared().origins.resolve(url.to_owned(), self.base()).ok()?;
        if address.credentials.is_some() {
            return None;
        }
        let stated = name.filter(|name| is_name(name));
        let shown = self.tagged(stated.map_or_else(|| self.name_of(&address), Into::into), tags, &address);
        Some(Known {
            method,
            url: url.into(),
            name: name.map(Into::into),
            tags: Rc::clone(tags),
            entry: self.ledger.entry(method, &shown),
            is_foreign: self.is_foreign(&address),
            asked: Asked::Anew { name: stated, method, address: &address }.packed(),
            whole: address.parsed()?,
            address,
        })
    }

    /// What the jar has for the header `cookie` of a hop to `address`, besides the request's `own`, which take the place of those of their names.
    pub(super) fn cookie_line(&self, address: &Address, own: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
        if self.jar.borrow().is_empty() {
            return None;
        }
        self.cookies_to(&address.parsed()?, own)
    }

    /// The same, of a hop to `url`.
    pub(super) fn cookies_to(&self, url: &Url, own: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
        let jar = self.jar.borrow();
        if jar.is_empty() {
            return None;
        }
        jar.header_for(url, SystemTime::now(), |name| own.iter().any(|(own, _)| own.as_bytes() == name))
    }

    /// Takes the cookies that an answer sets.
    pub(super) fn take_cookies(&self, address: &Address, headers: &Headers) {
        if !headers.sets_cookies() {
            return;
        }
        if let Some(url) = address.parsed() {
            let (mut jar, now) = (self.jar.borrow_mut(), SystemTime::now());
            headers.all("set-cookie").for_each(|cookie| jar.store(cookie, &url, now));
        }
    }

    pub(super) fn jar(&self) -> std::cell::RefMut<'_, Jar> {
        self.jar.borrow_mut()
    }
}

/// The client that was used last, over the user's defaults.
#[derive(Debug)]
struct Merged {
    client: Rc<Template>,
    both: Rc<Template>,
}

/// Bytes of a URL, and of a name: longer ones are worked out each time, so that what is known stays small.
const KNOWN_BYTES_MAX: usize = 512;
