//! Lets ssh clients in: how many at once, and for how long. Runs on a thread of its own, so that the master's work is not held up.

use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use russh::server::{Config, run_stream};
use russh::{MethodKind, MethodSet};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::doorstep::{Doorstep, Place};
use super::keys::{HostKey, SshError};
use super::visitor::{Shared, Visitor};
use crate::front::tui::LocalFeed;

/// What the server needs.
#[derive(Debug)]
pub struct SshOptions {
    /// Where it listens for connections.
    pub bind: SocketAddr,
    /// The file with the keys of those who may come in; read anew at each login.
    pub authorized_keys: PathBuf,
    /// The server's own key.
    pub host_key: HostKey,
    /// What the screens see and command.
    pub local: LocalFeed,
    /// Whether screens are coloured.
    pub is_coloured: bool,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct SshServer {
    address: SocketAddr,
    _end: oneshot::Sender<()>,
}

impl SshServer {
    /// Listens, and serves on a thread of its own.
    ///
    /// # Errors
    /// The address or the file of keys cannot be used.
    pub fn start(options: SshOptions) -> Result<Self, SshError> {
        let SshOptions { bind, authorized_keys, host_key, local, is_coloured } = options;
        if let Err(source) = std::fs::read_to_string(&authorized_keys) {
            return Err(SshError::Authorized { path: authorized_keys, source });
        }
        let listen = |source| SshError::Listen { address: bind, source };
        let listener = std::net::TcpListener::bind(bind).map_err(listen)?;
        listener.set_nonblocking(true).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let config = Arc::new(config(host_key));
        let places = Arc::new(Semaphore::new(VIEWERS));
        let shared = Arc::new(Shared { authorized_keys, local, is_coloured, places, turned_away: AtomicU64::new(0) });
        let (end, ended) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(SshError::Thread)?;
        let serve = move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = ended => {}
                    () = accept(listener, config, shared) => {}
                }
            });
        };
        std::thread::Builder::new().name("ssh".to_owned()).spawn(serve).map_err(SshError::Thread)?;
        Ok(Self { address, _end: end })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn config(host_key: HostKey) -> Config {
    Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_secs(1),
        auth_rejection_time_initial: Some(Duration::ZERO),
        max_auth_attempts: 6,
        keys: vec![host_key.0],
        // The screen's own limit counts keys; this one notices peers that are gone.
        inactivity_timeout: None,
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        nodelay: true,
        ..Config::default()
    }
}

async fn accept(listener: TcpListener, config: Arc<Config>, shared: Arc<Shared>) {
    let doorstep = Doorstep::new(STRANGERS);
    let mut tell = tokio::time::interval(TELL);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => match doorstep.enter(Instant::now()) {
                    Some(place) => drop(tokio::spawn(serve(socket, peer, Arc::clone(&config), Arc::clone(&shared), place))),
                    None => {
                        shared.turned_away.fetch_add(1, Ordering::Relaxed);
                    }
                },
                Err(error) => {
                    log::warn!("ssh: no connection can be taken: {error}");
                    sleep(Duration::from_secs(1)).await;
                }
            },
            _ = tell.tick() => {
                let turned_away = shared.turned_away.swap(0, Ordering::Relaxed);
                if turned_away > 0 {
                    log::warn!("ssh: {turned_away} connections were turned away: {STRANGERS} others had not logged in yet");
                }
            }
        }
    }
}

/// One connection, from its first byte to its last.
async fn serve(socket: TcpStream, peer: SocketAddr, config: Arc<Config>, shared: Arc<Shared>, place: Place) {
    // Whatever the protocol waits for, a socket that is shut ends it.
    let Ok(socket) = socket.into_std() else { return };
    let Ok(handle) = socket.try_clone() else { return };
    let Ok(socket) = TcpStream::from_std(socket) else { return };
    let (logged_in, is_in) = watch::channel(false);
    let connection = async {
        // Why a stranger's connection broke is the stranger's affair.
        if let Ok(session) = run_stream(config, socket, Visitor::new(peer, shared, logged_in)).await {
            drop(session.await);
        }
    };
    match accompany(connection, is_in, place).await {
        Stay::Over => {}
        Stay::MadeRoom => log::info!("ssh: {peer} had not logged in yet, and made room for somebody else"),
        Stay::NoLogin => log::info!("ssh: {peer} has not logged in within {} s", LOGIN_TIME.as_secs()),
        Stay::TooLong => log::info!("ssh: {peer} has been here for {} h, and is sent away", VISIT_TIME.as_secs() / 3600),
    }
    drop(handle.shutdown(Shutdown::Both));
}

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// The connection ended by itself.
    Over,
    /// Nobody has logged in in time.
    NoLogin,
    /// Nobody had logged in yet, and others needed the place.
    MadeRoom,
    /// The visit has lasted as long as one may.
    TooLong,
}

/// Waits for the connection's end or its limits. The place at the doorstep is free again once somebody has logged in.
async fn accompany(connection: impl Future<Output = ()>, mut is_in: watch::Receiver<bool>, place: Place) -> Stay {
    tokio::pin!(connection);
    let in_time = timeout(LOGIN_TIME, async {
        tokio::select! {
            () = &mut connection => Some(Stay::Over),
            () = place.sent_away() => Some(Stay::MadeRoom),
            changed = is_in.wait_for(|is_in| *is_in) => if changed.is_ok() { None } else { Some(Stay::Over) },
        }
    });
    match in_time.await {
        Ok(None) => {}
        Ok(Some(stay)) => return stay,
        Err(_) => return Stay::NoLogin,
    }
    drop(place);
    match timeout(VISIT_TIME, connection).await {
        Ok(()) => Stay::Over,
        Err(_) => Stay::TooLong,
    }
}

/// Connections that may be logging in at once.
const STRANGERS: usize = 20;

/// How long a login may take.
const LOGIN_TIME: Duration = Duration::from_secs(20);

/// Screens that are shown at once.
const VIEWERS: usize = 32;

/// How long a visit may last.
const VISIT_TIME: Duration = Duration::from_secs(12 * 3600);

/// How often it is told that connections were turned away.
const TELL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    /// A connection, its login, and a doorstep with one place, which it has.
    fn at_the_door() -> (watch::Sender<bool>, watch::Receiver<bool>, Arc<Doorstep>, Place) {
        let (logged_in, is_in) = watch::channel(false);
        let doorstep = Doorstep::new(1);
        let place = doorstep.enter(Instant::now()).unwrap();
        (logged_in, is_in, doorstep, place)
    }

    /// Whether somebody who comes now, and is told to wait for nobody, finds a place.
    fn is_free(doorstep: &Arc<Doorstep>, since: Instant) -> bool {
        doorstep.enter(since).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_log_in_has_a_place_at_the_door_for_twenty_seconds() {
        let (_logged_in, is_in, doorstep, place) = at_the_door();
        let begin = Instant::now();
        let stay = tokio::spawn(accompany(pending(), is_in, place));
        sleep(LOGIN_TIME - Duration::from_millis(1)).await;
        assert!(!is_free(&doorstep, begin));
        assert_eq!((stay.await.unwrap(), begin.elapsed()), (Stay::NoLogin, LOGIN_TIME));
        assert!(is_free(&doorstep, begin));
    }

    #[tokio::test(start_paused = true)]
    async fn a_visit_leaves_the_door_at_once_and_lasts_twelve_hours() {
        let (logged_in, is_in, doorstep, place) = at_the_door();
        let begin = Instant::now();
        let stay = tokio::spawn(accompany(pending(), is_in, place));
        sleep(Duration::from_secs(5)).await;
        logged_in.send_replace(true);
        sleep(Duration::from_millis(1)).await;
        assert!(is_free(&doorstep, begin));
        assert_eq!((stay.await.unwrap(), begin.elapsed()), (Stay::TooLong, Duration::from_secs(5) + VISIT_TIME));
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_does_not_keep_others_out() {
        let (_logged_in, is_in, doorstep, place) = at_the_door();
        let begin = Instant::now();
        let stay = tokio::spawn(accompany(pending(), is_in, place));
        sleep(Duration::from_secs(2)).await;
        let _place = doorstep.enter(Instant::now()).unwrap();
        assert_eq!((stay.await.unwrap(), begin.elapsed()), (Stay::MadeRoom, Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_by_itself_is_no_matter() {
        let (logged_in, is_in, _doorstep, place) = at_the_door();
        assert_eq!(accompany(async {}, is_in.clone(), place).await, Stay::Over);
        logged_in.send_replace(true);
        let (.., place) = at_the_door();
        assert_eq!(accompany(sleep(VISIT_TIME / 2), is_in, place).await, Stay::Over);
    }
}
