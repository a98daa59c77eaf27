//! Bodies that Lua holds without having copied them, packed or not, and the account that keeps Lua's collector from lagging behind.
//!
//! Lua's collector sees a handle of a few bytes and not the body behind it. So each new body drives the collector on by its own size.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{AnyUserData, Lua};

use crate::protocol::http::{Failure, Kept, Unpacker};

/// A body that the script has not looked at.
pub(super) struct BodyHandle {
    pub(super) body: SharedBody,
    account: Rc<Account>,
    /// As it stands in the account.
    weight: Cell<usize>,
}

/// A body behind a handle; the lane has a share in it while it is being unpacked.
pub(super) type SharedBody = Rc<RefCell<HeldBody>>;

/// How a body is held.
#[derive(Debug)]
pub(super) enum HeldBody {
    Plain(Kept),
    /// Packed, as the server sent it.
    Packed(Unpacker),
    /// Somebody is unpacking it, or Lua has a copy.
    Away,
    /// It cannot be unpacked.
    Bad(Failure),
}

impl HeldBody {
    /// Takes what is to be unpacked.
    pub(super) fn take_packed(&mut self) -> Option<Unpacker> {
        match std::mem::replace(self, Self::Away) {
            Self::Packed(unpacker) => Some(unpacker),
            other => {
                *self = other;
                None
            }
        }
    }

    /// What came of unpacking it.
    pub(super) fn put(&mut self, unpacked: Result<Kept, Failure>) {
        *self = match unpacked {
            Ok(plain) => Self::Plain(plain),
            Err(failure) => Self::Bad(failure),
        };
    }

    fn bytes_held(&self) -> usize {
        match self {
            Self::Plain(kept) => kept.bytes.capacity(),
            Self::Packed(unpacker) => unpacker.held(),
            Self::Away | Self::Bad(_) => 0,
        }
    }
}

impl BodyHandle {
    /// Hands a body over to Lua; may run a part of Lua's collector first.
    pub(super) fn create(lua: &Lua, mut body: HeldBody) -> mlua::Result<AnyUserData> {
        if let HeldBody::Plain(kept) = &mut body
            && kept.bytes.capacity() > kept.bytes.len() + kept.bytes.len() / 4
        {
            kept.bytes.shrink_to_fit();
        }
        let account = account_of(lua)?;
        let weight = body.bytes_held();
        account.add(lua, weight)?;
        lua.create_userdata(Self { body: Rc::new(RefCell::new(body)), account, weight: Cell::new(weight) })
    }

    /// Sets the account right after the body has been unpacked.
    pub(super) fn weigh(&self, lua: &Lua) -> mlua::Result<()> {
        let weight = self.body.borrow().bytes_held();
        if let Some(more) = weight.checked_sub(self.weight.get()) {
            self.account.add(lua, more)?;
        } else {
            self.account.held.set(self.account.held.get() - (self.weight.get() - weight));
        }
        self.weight.set(weight);
        Ok(())
    }

    /// Gives the bytes back, once Lua has a copy.
    pub(super) fn release(&self) {
        self.body.replace(HeldBody::Away);
        self.account.held.set(self.account.held.get() - self.weight.replace(0));
    }
}

impl Drop for BodyHandle {
    fn drop(&mut self) {
        self.release();
    }
}

impl mlua::UserData for BodyHandle {}

/// Bytes outside of Lua that something in Lua holds; they leave the account when this is dropped.
pub(in crate::script::bindings) struct Outside {
    account: Rc<Account>,
    bytes: usize,
}

impl Outside {
    /// Takes so many bytes into the account; may run a part of Lua's collector first.
    pub(in crate::script::bindings) fn hold(lua: &Lua, bytes: usize) -> mlua::Result<Self> {
        let account = account_of(lua)?;
        account.add(lua, bytes)?;
        Ok(Self { account, bytes })
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.account.held.set(self.account.held.get() - self.bytes);
    }
}

/// What the handles of one VM hold.
struct Account {
    /// Bytes of bodies that handles keep alive.
    held: Cell<usize>,
    /// Bytes for which the collector has not been driven yet.
    owed: Cell<usize>,
    /// Bytes from which on the collector runs to its end.
    ceiling: Cell<usize>,
}

impl Account {
    fn add(&self, lua: &Lua, bytes: usize) -> mlua::Result<()> {
        // A step of the collector marks or sweeps about a KiB. With this many of them, a whole cycle fits into one `PACE` of bodies.
        let steps_of_cycle = lua.used_memory() / 1024 + 1;
        let bytes_of_step = (PACE / steps_of_cycle).max(1);
        let mut owed = self.owed.get() + bytes;
        while owed >= bytes_of_step {
            owed -= bytes_of_step;
            if lua.gc_step()? {
                owed %= bytes_of_step;
            }
        }
        self.owed.set(owed);
        if self.held.get() + bytes > self.ceiling.get() {
            lua.gc_collect()?;
            // What is left is alive: without a higher ceiling every further body would collect in vain.
            self.ceiling.set(CEILING.max(2 * self.held.get()));
        }
        self.held.set(self.held.get() + bytes);
        Ok(())
    }
}

fn account_of(lua: &Lua) -> mlua::Result<Rc<Account>> {
    if let Some(account) = lua.app_data_ref::<Rc<Account>>() {
        return Ok(Rc::clone(&account));
    }
    let account = Rc::new(Account { held: Cell::new(0), owed: Cell::new(0), ceiling: Cell::new(CEILING) });
    lua.set_app_data(Rc::clone(&account));
    Ok(account)
}

/// Bytes of bodies for one whole cycle of the collector.
const PACE: usize = 16 << 20;

/// Bytes of bodies above which the collector runs to its end at once.
const CEILING: usize = 48 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> HeldBody {
        HeldBody::Plain(Kept { bytes: vec![0; 100_000], lease: None })
    }

    #[test]
    fn bodies_that_nobody_holds_do_not_pile_up() {
        let lua = Lua::new();
        let mut peak = 0;
        for _ in 0..4_000 {
            BodyHandle::create(&lua, plain()).unwrap();
            peak = peak.max(account_of(&lua).unwrap().held.get());
        }
        assert!(peak <= CEILING, "{peak}");
    }

    #[test]
    fn bodies_that_are_held_raise_the_ceiling() {
        let lua = Lua::new();
        let held: mlua::Table = lua.create_table().unwrap();
        for place in 1..=700 {
            held.raw_set(place, BodyHandle::create(&lua, plain()).unwrap()).unwrap();
        }
        let account = account_of(&lua).unwrap();
        assert_eq!(account.held.get(), 70_000_000);
        assert!(account.ceiling.get() > CEILING);
        drop(held);
        lua.gc_collect().unwrap();
        lua.gc_collect().unwrap();
        assert_eq!(account.held.get(), 0);
    }
}
