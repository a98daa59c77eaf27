//! The terminal UI's part in the commands: `lunamoth tui`, and the screens of `run` and `master`.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::client::options;
use super::failure::Failure;
use super::signals::Signals;
use super::start::{Start, run_to_end};
use crate::cluster::handle::MasterHandle;
use crate::config::{Settings, arrival_rate, parse_duration};
use crate::front::client::MasterClient;
use crate::front::console::Screen;
use crate::front::ssh::{SshOptions, SshServer, host_key};
use crate::front::tui::{self, Door, Feed, Left, LocalFeed, Reader, feed_of, follow_master};

/// A terminal UI that is shown.
pub(super) struct Shown {
    thread: JoinHandle<Left>,
    screen: Arc<Screen>,
}

impl Shown {
    /// Waits until it is left, and has the terminal back.
    pub(super) fn join(self) {
        if self.end().is_none() {
            log::error!("the terminal UI has panicked, which is a bug of lunamoth's; the run is not touched by it");
        }
    }

    /// Why it was left; none where it has panicked, which its hook has told.
    fn end(self) -> Option<Left> {
        let left = self.thread.join();
        self.screen.uncover();
        left.ok()
    }
}

/// Whether a run shows a screen: it does on a terminal, unless somebody wants it otherwise.
pub(super) fn is_wanted(settings: &Settings, by_default: bool) -> Result<bool, Failure> {
    if settings.tui && !tui::has_terminal(true) {
        return Err(Failure::bad_use(anyhow::anyhow!("there is no terminal for `--tui` to draw on: leave it out")));
    }
    Ok(settings.tui || (by_default && !settings.headless && !settings.quiet && tui::has_terminal(false)))
}

/// Shows the screen of a master in this process. `interrupts` hears of Ctrl-C.
pub(super) fn show(start: &Start, door: Door, local: LocalFeed, interrupts: mpsc::Sender<()>) -> Result<Shown, Failure> {
    let screen = Arc::clone(&start.screen);
    screen.cover();
    let theme = tui::theme_of_locale(!screen.is_coloured());
    let shown = tui::show(door, theme, interrupts, move || feed_of(&local, door, "the terminal"));
    match shown {
        Ok(thread) => Ok(Shown { thread, screen }),
        Err(why) => {
            screen.uncover();
            Err(Failure::bad_use(anyhow::Error::new(why).context("failed to take over the terminal; `--headless` does without")))
        }
    }
}

/// The terminal UI over ssh, where it is wanted. It ends when what is answered is dropped.
pub(super) fn serve_ssh(start: &Start, local: LocalFeed) -> Result<Option<SshServer>, Failure> {
    let settings = &start.settings;
    let Some(bind) = settings.ssh_bind() else { return Ok(None) };
    let Some(authorized_keys) = settings.ssh_authorized_keys.clone() else {
        return Err(Failure::bad_use(anyhow::anyhow!("`--ssh` lets nobody in without keys: name them with --ssh-authorized-keys FILE")));
    };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|why| Failure::bug(anyhow::anyhow!("no random numbers: {why}")))?;
    let host_key = host_key(settings.ssh_host_key.as_deref(), settings.state.as_deref(), &seed).map_err(Failure::bad_use)?;
    if settings.ssh_host_key.is_none() && settings.state.is_none() {
        log::warn!("the ssh host key lasts as long as this master: --ssh-host-key or --state keeps one");
    }
    log::info!("ssh host key {}", host_key.fingerprint());
    let is_coloured = !settings.no_color;
    let server = SshServer::start(SshOptions { bind, authorized_keys, host_key, local, is_coloured }).map_err(Failure::bad_use)?;
    log::info!("the terminal UI is served over ssh at {}", server.address());
    Ok(Some(server))
}

/// What screens need besides the master.
pub(super) fn local_feed(handle: MasterHandle, scripts: impl Fn() -> Vec<String> + Send + Sync + 'static) -> LocalFeed {
    LocalFeed::new(handle, Reader { run_time: parse_duration, rate: arrival_rate, scripts: Arc::new(scripts) })
}

/// `lunamoth tui`: the screen of a master afar.
pub(super) fn attach(start: &Start) -> Result<u8, Failure> {
    if !tui::has_terminal(true) {
        return Err(Failure::bad_use(anyhow::anyhow!("there is no terminal to draw on; `lunamoth status` says the same in text")));
    }
    let master = MasterClient::new(&options(&start.settings)?).map_err(Failure::bad_use)?;
    let screen = Arc::clone(&start.screen);
    screen.cover();
    let (key, _pressed) = mpsc::channel(1);
    let theme = tui::theme_of_locale(!screen.is_coloured());
    let door = Door::Attached { is_read_only: false };
    let (ended, end) = oneshot::channel::<()>();
    let (leave, left) = oneshot::channel::<()>();
    let shown = tui::show(door, theme, key, move || until(follow_master(master), end, leave)).map_err(Failure::bad_use);
    let thread = shown.inspect_err(|_| screen.uncover())?;
    run_to_end(async {
        let mut signals = Signals::new()?;
        tokio::select! {
            () = signals.next() => {}
            // The screen has been left, or has gone down with its thread.
            _ = left => {}
        }
        Ok::<_, Failure>(())
    })?;
    drop(ended);
    match (Shown { thread, screen }).end() {
        Some(_) => Ok(0),
        None => Err(Failure::bug(anyhow::anyhow!("the terminal UI has panicked"))),
    }
}

/// A feed that ends when `end` does: the process was asked to. `leave` goes with it, and when nobody listens any more.
fn until(mut feed: Feed, end: oneshot::Receiver<()>, leave: oneshot::Sender<()>) -> Feed {
    let (events, inbox) = mpsc::channel(1);
    let mut inner = std::mem::replace(&mut feed.events, inbox);
    drop(tokio::spawn(async move {
        let _leave = leave;
        tokio::pin!(end);
        loop {
            tokio::select! {
                _ = &mut end => return,
                () = events.closed() => return,
                event = inner.recv() => {
                    let Some(event) = event else { return };
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
            }
        }
    }));
    feed
}
