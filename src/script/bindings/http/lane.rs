//! What the users of one lane share: the protocol's context, parsed origins, and what the plan says of every request.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::address::{Base, Origins};
use super::aside::Aside;
use super::connections::rules_of;
use super::identity::{Identities, Identity};
use super::known::KnownRequests;
use super::template::{Settings, Template};
use crate::script::library::OfLane;
use crate::load::sides::Side;
use crate::load::vitals::allowed_memory;
use crate::plan::{DnsMode, Plan, RunSettings};
use crate::protocol::http::{BodyMemory, ConnectionRules, Context, HostRule, Settings as ClientSettings};

/// What the users of one lane share: the protocol's context, parsed origins.
#[derive(Debug)]
pub struct LaneHttp {
    pub(super) shared: Rc<Shared>,
}

impl OfLane for LaneHttp {
    /// Reads roots and certificates once. What can be wrong is the host or a certificate.
    fn open(plan: &Plan) -> Result<Self, String> {
        let base = |host: &Option<String>| host.as_deref().map(Base::parse).transpose().map_err(|why| format!("the host cannot be used: {why}"));
        let (base, other_base) = (base(&plan.host)?, base(&plan.other_host)?);
        let client_settings = client_settings(plan)?;
        let context = Context::new(client_settings.clone())?;
        let usual = Rc::new(Template::new(Settings::default(), Vec::new()));
        let of_profiles = plan.profile.named().iter().map(|named| Rc::new(Template::of_profile(named))).collect();
        let shared = Shared {
            context: Rc::new(context),
            identities: Identities::default(),
            client_settings,
            base,
            other_base,
            usual,
            of_profiles,
            origins: Origins::default(),
            known: KnownRequests::default(),
            settings: plan.settings.clone(),
            rules: rules_of(&plan.http.connections),
            class_bases: RefCell::default(),
            aside: Aside::default(),
        };
        if let Some(memory) = allowed_memory() {
            BodyMemory::of_process().limit_to(memory / 2);
        }
        Ok(Self { shared: Rc::new(shared) })
    }
}

/// See [`LaneHttp`]; held by each user.
#[derive(Debug)]
pub(super) struct Shared {
    /// Of the users' connections.
    pub(super) context: Rc<Context>,
    identities: Identities,
    /// What the context was made of.
    client_settings: ClientSettings,
    /// The scenario's host, or that of side A.
    base: Option<Base>,
    /// The host of side B.
    other_base: Option<Base>,
    /// The headers that every request has.
    pub(super) usual: Rc<Template>,
    /// The same of the users of each named profile.
    of_profiles: Vec<Rc<Template>>,
    /// Absolute URLs that were asked for.
    pub(super) origins: Origins,
    /// Requests that were asked for before.
    pub(super) known: KnownRequests,
    /// Limits that hold for every request.
    pub(super) settings: RunSettings,
    /// Of requests for which the script says nothing else.
    pub(super) rules: ConnectionRules,
    class_bases: RefCell<FxHashMap<Rc<str>, Base>>,
    /// Where large bodies are unpacked, off the lane.
    pub(super) aside: Aside,
}

impl Shared {
    /// What requests obey of the users of a named profile.
    pub(super) fn of_profile(&self, place: usize) -> Option<Rc<Template>> {
        self.of_profiles.get(place).map(Rc::clone)
    }

    /// The base of a user class, parsed once for each class.
    ///
    /// # Errors
    /// A text that names the URL.
    pub(super) fn class_base(&self, host: &Rc<str>) -> Result<Base, String> {
        if let Some(known) = self.class_bases.borrow().get(host) {
            return Ok(known.clone());
        }
        let base = Base::parse(host).map_err(|why| format!("the host of the user class cannot be used: {why}"))?;
        self.class_bases.borrow_mut().insert(Rc::clone(host), base.clone());
        Ok(base)
    }

    /// The surroundings of connections with certificates of a client's own.
    ///
    /// # Errors
    /// A text for people that names what cannot be used.
    pub(super) fn context_of(&self, identity: &Rc<Identity>) -> Result<Rc<Context>, String> {
        self.identities.context(identity, &self.client_settings)
    }

    /// Where relative URLs of a user go who is on this side, in a run of two.
    pub(super) const fn base_of(&self, side: Option<Side>) -> Option<&Base> {
        match side {
            None | Some(Side::A) => self.base.as_ref(),
            Some(Side::B) => self.other_base.as_ref(),
        }
    }
}

fn client_settings(plan: &Plan) -> Result<ClientSettings, String> {
    let (http, settings) = (&plan.http, &plan.settings);
    Ok(ClientSettings {
        connect_timeout: settings.connect_timeout,
        insecure_tls: settings.insecure_tls,
        extra_roots: http.extra_roots.clone(),
        client_identity: http.client_identity.as_ref().map(|identity| (identity.cert.clone(), identity.key.clone())),
        dns_fresh: settings.dns == DnsMode::Fresh,
        hosts: http.hosts.iter().map(|(name, to)| HostRule::new(name, to.ip, to.port)).collect::<Result<_, _>>()?,
        proxy_from_env: settings.proxy_from_env,
    })
}
