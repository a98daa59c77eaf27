//! Certificates of a client's own: the files that `http.client` names are read while the script is loaded, and tried at once.
//!
//! The connections that are made with them are each user's, beside those without; the TLS configuration is made once in a lane.

use std::cell::RefCell;
use std::rc::Rc;

use crate::protocol::http::{Connections, Context, Settings, tls_client};

/// What a client says of its certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    /// PEM texts of its certificate, with those that lead to an authority, and of its key.
    pair: Option<(String, String)>,
    /// PEM text of authorities that are trusted besides the usual ones.
    authorities: Option<String>,
}

impl Identity {
    /// Reads and tries the files that the options `cert`, `key` and `ca` name; `None` where there are none of them.
    ///
    /// # Errors
    /// Which file is missing, or does not hold what it should.
    pub(super) fn read(files: &[(String, String)], read: impl Fn(&str) -> Result<String, String>) -> Result<Option<Rc<Self>>, String> {
        let named = |option: &str| files.iter().find(|(name, _)| name == option).map(|(_, file)| file.as_str());
        let text = |option: &str, file: &str| read(file).map_err(|why| format!("option `{option}`: {why}"));
        let mut identity = Self::default();
        match (named("cert"), named("key")) {
            (Some(cert), Some(key)) => {
                identity.pair = Some((text("cert", cert)?, text("key", key)?));
                tls_client(&identity.over(Settings::default())).map_err(|why| format!("options `cert` (`{cert}`) and `key` (`{key}`): {why}"))?;
            }
            (None, None) => {}
            _ => return Err("options `cert` and `key` belong together: a certificate and its private key, PEM files beside the script".to_owned()),
        }
        if let Some(file) = named("ca") {
            let only = Self { authorities: Some(text("ca", file)?), pair: None };
            tls_client(&only.over(Settings::default())).map_err(|why| format!("option `ca` (`{file}`): {why}"))?;
            identity.authorities = only.authorities;
        }
        Ok((identity != Self::default()).then(|| Rc::new(identity)))
    }

    /// The settings of its connections, where `usual` are those of all others. The run's certificate goes out where it has none of its own.
    fn over(&self, usual: Settings) -> Settings {
        let extra_roots = match (usual.extra_roots, &self.authorities) {
            (Some(usual), Some(own)) => Some(format!("{usual}\n{own}")),
            (usual, own) => own.clone().or(usual),
        };
        Settings { client_identity: self.pair.clone().or(usual.client_identity), extra_roots, ..usual }
    }
}

/// The TLS configurations of a lane's identities. VMs of one lane read the same files.
#[derive(Debug, Default)]
pub(super) struct Identities {
    made: RefCell<Vec<(Rc<Identity>, Rc<Context>)>>,
}

impl Identities {
    /// The surroundings of connections with `identity`; made where there are none.
    ///
    /// # Errors
    /// A text for people that names the setting at fault.
    pub(super) fn context(&self, identity: &Rc<Identity>, usual: &Settings) -> Result<Rc<Context>, String> {
        let known = |made: &[(Rc<Identity>, Rc<Context>)]| made.iter().find(|(known, _)| known == identity).map(|(_, context)| Rc::clone(context));
        if let Some(context) = known(&self.made.borrow()) {
            return Ok(context);
        }
        let context = Rc::new(Context::new(identity.over(usual.clone()))?);
        self.made.borrow_mut().push((Rc::clone(identity), Rc::clone(&context)));
        Ok(context)
    }
}

/// A user's connections with identities of clients.
#[derive(Debug, Default)]
pub(super) struct OfIdentities {
    opened: RefCell<Vec<(Rc<Context>, Rc<Connections>)>>,
}

impl OfIdentities {
    /// Those over `context`.
    pub(super) fn connections(&self, context: &Rc<Context>) -> Rc<Connections> {
        let mut opened = self.opened.borrow_mut();
        if let Some((_, connections)) = opened.iter().find(|(known, _)| Rc::ptr_eq(known, context)) {
            return Rc::clone(connections);
        }
        let connections = Rc::new(Connections::new(Rc::clone(context)));
        opened.push((Rc::clone(context), Rc::clone(&connections)));
        connections
    }
}
