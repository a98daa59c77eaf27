//! What the users of one lane share: settings, TLS configuration, known names and proxies.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::dns::Names;
use super::exchange::{Offer, Version};
use super::origin::Origin;
use super::proxy::Proxies;
use super::settings::Settings;
use super::tls;

/// What the users of one lane share.
#[derive(Debug)]
pub struct Context {
    pub(super) connect_timeout: Duration,
    /// For servers that may choose HTTP/2.
    tls: Arc<rustls::ClientConfig>,
    /// For those that want HTTP/1.1.
    tls_http11: Arc<rustls::ClientConfig>,
    /// For those that shall speak HTTP/2; made when one is first asked for.
    tls_http2: OnceCell<Arc<rustls::ClientConfig>>,
    pub(super) names: Names,
    pub(super) proxies: Proxies,
    /// What TLS origins have agreed to speak. Written by whoever connected; read to know whether connections can be shared.
    spoken: RefCell<FxHashMap<Rc<Origin>, Version>>,
    /// Origins that have answered HTTP/2 with `HTTP_1_1_REQUIRED`: from then on they are offered nothing else, as browsers do.
    http11_only: RefCell<FxHashSet<Rc<Origin>>>,
    /// A server has closed a kept-alive connection under a request: from then on the kernel is asked before each reuse.
    pub(super) is_wary: Cell<bool>,
}

impl Context {
    /// Reads roots and certificates once.
    ///
    /// # Errors
    /// A text for people that names the certificate or setting at fault.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let tls = tls::configure(&settings)?;
        Ok(Self {
            connect_timeout: settings.connect_timeout,
            tls_http11: tls::offering(&tls, b"http/1.1"),
            tls_http2: OnceCell::new(),
            tls,
            proxies: if settings.proxy_from_env { Proxies::from_env(|name| std::env::var(name).ok())? } else { Proxies::default() },
            names: Names::new(settings.hosts, settings.dns_fresh),
            spoken: RefCell::default(),
            http11_only: RefCell::default(),
            is_wary: Cell::new(false),
        })
    }

    /// What `origin` has agreed to speak; `None` before the first connection.
    pub(super) fn spoken_by(&self, origin: &Origin) -> Option<Version> {
        self.spoken.borrow().get(origin).copied()
    }

    /// The TLS configuration for a connection to `origin` that is offered `offer`.
    pub(super) fn tls_for(&self, origin: &Origin, offer: Offer) -> Arc<rustls::ClientConfig> {
        Arc::clone(match offer {
            Offer::Any if self.http11_only.borrow().contains(origin) => &self.tls_http11,
            Offer::Any => &self.tls,
            Offer::Http11 => &self.tls_http11,
            Offer::Http2 => self.tls_http2.get_or_init(|| tls::offering(&self.tls, b"h2")),
        })
    }

    /// `origin` will hear HTTP/1.1 only.
    pub(super) fn on_http11_required(&self, origin: &Rc<Origin>) {
        let mut http11_only = self.http11_only.borrow_mut();
        if http11_only.len() >= SPOKEN_LIMIT {
            http11_only.clear();
        }
        http11_only.insert(Rc::clone(origin));
        drop(http11_only);
        self.on_spoken(origin, Version::Http11);
    }

    /// `origin` has agreed to speak `version`.
    pub(super) fn on_spoken(&self, origin: &Rc<Origin>, version: Version) {
        // A connection that was made before the server said so.
        if version == Version::Http2 && self.http11_only.borrow().contains(origin) {
            return;
        }
        let mut spoken = self.spoken.borrow_mut();
        // A script that invents hosts without end shall not fill the memory; forgetting costs a wait at most.
        if spoken.len() >= SPOKEN_LIMIT {
            spoken.clear();
        }
        spoken.insert(Rc::clone(origin), version);
    }
}

const SPOKEN_LIMIT: usize = 10_000;
