//! Bodies that Lua holds without having copied them, and the account that keeps Lua's collector from lagging behind.
//!
//! Lua's collector sees a handle of a few bytes and not the body behind it. So each new body drives the collector on by its own size.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use mlua::{AnyUserData, Lua};

/// A body that the script has not looked at.
pub(super) struct BodyHandle {
    bytes: RefCell<Vec<u8>>,
    account: Rc<Account>,
}

impl BodyHandle {
    /// Hands a body over to Lua; may run a part of Lua's collector first.
    pub(super) fn create(lua: &Lua, mut bytes: Vec<u8>) -> mlua::Result<AnyUserData> {
        if bytes.capacity() > bytes.len() + bytes.len() / 4 {
            bytes.shrink_to_fit();
        }
        let account = account_of(lua)?;
        account.add(lua, bytes.capacity())?;
        lua.create_userdata(Self { bytes: RefCell::new(bytes), account })
    }

    /// Looks at the bytes.
    pub(super) fn with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        look(&self.bytes.borrow())
    }

    /// Gives the bytes back, once Lua has a copy.
    pub(super) fn release(&self) {
        let bytes = std::mem::take(&mut *self.bytes.borrow_mut());
        self.account.held.set(self.account.held.get() - bytes.capacity());
    }
}

impl Drop for BodyHandle {
    fn drop(&mut self) {
        self.release();
    }
}

impl mlua::UserData for BodyHandle {}

/// What the handles of one VM hold.
struct Account {
    /// Bytes of bodies.
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

    #[test]
    fn bodies_that_nobody_holds_do_not_pile_up() {
        let lua = Lua::new();
        let mut peak = 0;
        for _ in 0..4_000 {
            BodyHandle::create(&lua, vec![0; 100_000]).unwrap();
            peak = peak.max(account_of(&lua).unwrap().held.get());
        }
        assert!(peak <= CEILING, "{peak}");
    }

    #[test]
    fn bodies_that_are_held_raise_the_ceiling() {
        let lua = Lua::new();
        let held: mlua::Table = lua.create_table().unwrap();
        for place in 1..=700 {
            held.raw_set(place, BodyHandle::create(&lua, vec![0; 100_000]).unwrap()).unwrap();
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
