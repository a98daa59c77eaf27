//! One ssh connection: who it is, and what it asks for. It gets a screen, and nothing else: no command, no shell without a terminal, no
//! files, no forwarding.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Pty};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::keys::{Guest, guest};
use super::viewer::{Viewing, view};
use crate::front::tui::input::KeyReader;
use crate::front::tui::{Input, LocalFeed};

/// The state of one connection.
pub(super) struct Visitor {
    peer: SocketAddr,
    shared: Arc<Shared>,
    logged_in: watch::Sender<bool>,
    guest: Option<Guest>,
    channel: Option<Channel<Msg>>,
    /// Columns and rows, once the client has a terminal.
    size: Option<(u16, u16)>,
    is_unicode: bool,
    /// As the client's own `NO_COLOR` and terminal have it.
    is_coloured: bool,
    /// A terminal on which no screen can be drawn.
    is_dumb: bool,
    inputs: Option<mpsc::Sender<Input>>,
    keys: KeyReader,
    last_key: watch::Sender<Instant>,
}

impl Visitor {
    pub(super) fn new(peer: SocketAddr, shared: Arc<Shared>, logged_in: watch::Sender<bool>) -> Self {
        Self {
            peer,
            shared,
            logged_in,
            guest: None,
            channel: None,
            size: None,
            is_unicode: true,
            is_coloured: true,
            is_dumb: false,
            inputs: None,
            keys: KeyReader::default(),
            last_key: watch::Sender::new(Instant::now()),
        }
    }

    /// By the file as it is now.
    async fn known(&self, key: &PublicKey) -> Option<Guest> {
        match tokio::fs::read_to_string(&self.shared.authorized_keys).await {
            Ok(text) => guest(&text, key),
            Err(error) => {
                log::error!("ssh: nobody can log in: `{}`: {error}", self.shared.authorized_keys.display());
                None
            }
        }
    }

    fn refuse(&self, what: &str, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        log::info!("ssh: {} at {} was refused {what}", self.guest.as_ref().map_or("nobody", |guest| guest.name.as_str()), self.peer);
        session.channel_failure(channel)
    }
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        Ok(if self.known(offer.public_key).await.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let Some(guest) = self.known(key.public_key).await else {
            log::warn!("ssh: {} as `{}` has no key that is known", self.peer, crate::front::text::escape(user));
            return Ok(Auth::reject());
        };
        let rights = if guest.is_read_only { "to look" } else { "to steer" };
        log::info!("ssh: {} has come in from {}, {rights}", guest.name, self.peer);
        self.guest = Some(guest);
        self.logged_in.send_replace(true);
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // One screen a connection; dropping the reply refuses.
        if self.channel.is_none() && self.inputs.is_none() {
            self.channel = Some(channel);
            reply.accept().await;
        }
        Ok(())
    }

    async fn env_request(&mut self, channel: ChannelId, name: &str, value: &str, session: &mut Session) -> Result<(), Self::Error> {
        if name == "LC_ALL" || name == "LC_CTYPE" || name == "LANG" {
            let value = value.to_ascii_lowercase();
            self.is_unicode = value.is_empty() || value.contains("utf-8") || value.contains("utf8");
        }
        if name == "NO_COLOR" {
            self.is_coloured = value.is_empty();
        }
        session.channel_success(channel)
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.size = Some(size(columns, rows));
        self.is_dumb = term.is_empty() || term == "dumb";
        session.channel_success(channel)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        let Some(size) = self.size else { return self.refuse("a shell without a terminal", channel, session) };
        if self.is_dumb {
            return self.refuse("a screen, since its terminal is called dumb", channel, session);
        }
        let (Some(own), Some(guest)) = (self.channel.take(), self.guest.clone()) else {
            return self.refuse("a second screen", channel, session);
        };
        let Ok(place) = Arc::clone(&self.shared.places).try_acquire_owned() else {
            return self.refuse("a screen, since too many are open", channel, session);
        };
        let (inputs, inbox) = mpsc::channel(INPUTS);
        self.inputs = Some(inputs);
        self.last_key.send_replace(Instant::now());
        let viewing = Viewing {
            local: self.shared.local.clone(),
            is_coloured: self.shared.is_coloured && self.is_coloured,
            is_unicode: self.is_unicode,
            guest,
            peer: self.peer,
            size,
            last_key: self.last_key.subscribe(),
            place,
        };
        drop(tokio::spawn(view(viewing, own, inbox, session.handle())));
        session.channel_success(channel)
    }

    async fn exec_request(&mut self, channel: ChannelId, _command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        self.refuse("a command", channel, session)
    }

    async fn subsystem_request(&mut self, channel: ChannelId, _name: &str, session: &mut Session) -> Result<(), Self::Error> {
        self.refuse("a subsystem", channel, session)
    }

    async fn window_change_request(
        &mut self,
        _channel: ChannelId,
        columns: u32,
        rows: u32,
        _pixel_width: u32,
        _pixel_height: u32,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (columns, rows) = size(columns, rows);
        self.size = Some((columns, rows));
        self.put(Input::Resize(columns, rows));
        Ok(())
    }

    async fn data(&mut self, _channel: ChannelId, data: &[u8], _session: &mut Session) -> Result<(), Self::Error> {
        self.last_key.send_replace(Instant::now());
        let mut keys = self.keys.read(data);
        if data == [ESCAPE] {
            // Terminals send their sequences in one piece: this is the key itself.
            keys.extend(self.keys.settle());
        }
        for key in keys {
            self.put(Input::Key(key));
        }
        Ok(())
    }

    async fn channel_eof(&mut self, _channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.inputs = None;
        Ok(())
    }

    async fn channel_close(&mut self, _channel: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.inputs = None;
        Ok(())
    }
}

impl Visitor {
    /// What comes faster than a screen can follow is dropped: nobody types that fast.
    fn put(&self, input: Input) {
        if let Some(inputs) = &self.inputs {
            let _no_room = inputs.try_send(input);
        }
    }
}

fn size(columns: u32, rows: u32) -> (u16, u16) {
    let within = |value: u32, most: u32| value.clamp(1, most) as u16;
    (within(columns, COLUMNS_MAX), within(rows, ROWS_MAX))
}

const ESCAPE: u8 = 0x1b;
const INPUTS: usize = 256;

/// What a client may claim its terminal to be: each cell costs memory.
const COLUMNS_MAX: u32 = 500;
const ROWS_MAX: u32 = 200;

/// What all visitors share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) authorized_keys: PathBuf,
    pub(super) local: LocalFeed,
    pub(super) is_coloured: bool,
    /// Places of those who have come in.
    pub(super) places: Arc<Semaphore>,
    /// Connections that were turned away for want of a place, and not told yet.
    pub(super) turned_away: AtomicU64,
}
