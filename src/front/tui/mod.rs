//! The terminal UI: one screen for a local run, for a master, for a master from afar, and over ssh.
//!
//! `state` is what the screen knows and how it answers events; it decides, and knows no terminal. `view` draws it. `session` lets events
//! in and frames out. `local` and `remote` are two ways to feed a screen, which does not know which of them it has.

mod feed;
mod history;
pub mod input;
mod key;
mod local;
mod remote;
mod session;
mod sse;
mod state;
mod terminal;
mod view;

pub use feed::{Ask, Event, Feed, LogEntry, Order};
pub use input::Key;
pub use key::any_key;
pub use local::{LocalFeed, Reader, feed_of};
pub use remote::follow_master;
pub use session::{Input, Surface, drive};
pub use state::{Door, Left, Screen};
pub use terminal::{give_back, has_terminal, show, theme_of_locale};
pub use view::{Theme, draw};

#[cfg(test)]
mod cost;
#[cfg(test)]
mod samples;
