//! The master over HTTP: Locust's control API, for scripts, exporters, pipelines and dashboards that exist, and an API of our own.
//!
//! Owns the routes, their formats, and the server that they stand on. It knows a master by its
//! [`MasterHandle`] alone and decides nothing about load.
//!
//! The way of a request: [`server`] accepts its connection, `patience` bounds how long it may take to arrive, `path` finds the route in its
//! path, `login` asks for the token where there is one, `routes` calls what answers it. What changes the run passes `asker` first, which knows who asks and turns other sites away; its
//! parameters are read by `form` and understood by `swarm`. What shows the run is one of the `documents`, each rendered once a snapshot.
//! Routes and their description (`openapi`) are one table of `route`s: Locust's, those for Prometheus and probes, and `v1`, our own.

mod asker;
mod documents;
mod error;
mod form;
mod listen;
mod login;
mod metrics;
mod openapi;
mod packing;
mod page;
mod path;
mod patience;
mod places;
mod reply;
mod requests;
mod route;
mod routes;
pub mod server;
mod shared;
mod swarm;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod v1;

use std::path::PathBuf;
use std::time::Duration;

pub use error::ApiError;
pub use server::ApiServer;
pub use tls::TlsFiles;

use crate::cluster::handle::MasterHandle;
use crate::plan::Rate;

/// What the API needs to know.
#[derive(Debug, Clone)]
pub struct ApiContext {
    /// By which it sees and commands the run.
    pub handle: MasterHandle,
    /// The program's version, for people.
    pub version: String,
    /// Before every route: empty, or words with a `/` before each and none at the end. Every route answers without it, too.
    pub path_prefix: String,
    /// The base URLs that a start may name through an address that others can reach: the scenario's, `-H`'s and those of `--allow-host`. The
    /// host of the run that is shown counts among them. On a loopback address, or with a token, a start may name any host.
    pub hosts: Vec<String>,
    /// Where workers come in (UDP); `None` of a local run, which has all the workers that it will have.
    pub workers_port: Option<u16>,
    /// The folder with the last run's report, for a master that has begun none itself.
    pub kept_reports: Option<PathBuf>,
    /// How settings read a run time, so that `/swarm` reads it alike.
    pub read_run_time: fn(&str) -> Result<Duration, String>,
    /// How settings read a rate of iterations.
    pub read_rate: fn(&str) -> Result<Rate, String>,
    /// Who is let in, and how.
    pub access: Access,
    /// Bounds on what clients may take.
    pub limits: Limits,
}

/// Who is let in, and how.
#[derive(Clone, Default)]
pub struct Access {
    /// What one has to know for everything but health; anybody may do everything without.
    pub token: Option<String>,
    /// HTTPS in place of plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Names in lower case, with a port or without, under which browsers may change the run through a loopback address without a token;
    /// `localhost` and loopback addresses always count.
    pub names: Vec<String>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "hidden");
        f.debug_struct("Access").field("token", &token).field("tls", &self.tls).field("names", &self.names).finish()
    }
}

/// Bounds on what clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, three quarters of them of one client; a further one may ask after health alone.
    pub connections: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// From the first byte of a request's head to its last, and from there to the last of its body.
    pub arrival: Duration,
    /// How long a connection may say nothing between requests, and how long a client may read nothing of an answer. Longer than proxies
    /// keep connections, so that it is they who close one.
    pub idle: Duration,
    /// How long the master may take to carry out what was asked: a start waits for the stop before it.
    pub action: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_024,
            body_bytes: 1 << 20,
            arrival: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            action: Duration::from_secs(120),
        }
    }
}
