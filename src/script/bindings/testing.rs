//! For the tests of this folder: the surroundings of a VM outside of any lane.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::LIBRARIES;
use crate::script::context::{Stage, VmContext};
use crate::script::testing::Script;

/// What a user's function with this body raises, from line 3 on; nothing where it does not. Each library is there under its name.
pub fn raised(body: &str) -> Option<String> {
    let names: Vec<_> = LIBRARIES.iter().map(|library| library.0).collect();
    let requires: Vec<_> = names.iter().map(|name| format!("require '{name}'")).collect();
    let lane = Script::new(&format!("local {} = {}\nreturn function(self)\n{body}\nend", names.join(", "), requires.join(", "))).lane();
    lane.live(0, 1);
    lane.exceptions().into_iter().next().map(|exception| exception.0)
}

/// Calls `call` with a value of each kind in the place of `%`: it takes those that `taken` names, and raises at its own line for all others.
pub fn judges(call: &str, taken: &[&str]) {
    const KINDS: [(&str, &str); 7] =
        [("whole", "7"), ("fraction", "1.5"), ("text", "'x'"), ("nil", "nil"), ("boolean", "true"), ("table", "{}"), ("function", "print")];
    assert!(taken.iter().all(|kind| KINDS.iter().any(|known| known.0 == *kind)), "{taken:?}");
    for (kind, value) in KINDS {
        let code = call.replace('%', value);
        let body = if code.contains('\n') || code.contains("local ") { code.clone() } else { format!("local _ = {code}") };
        match raised(&body) {
            None => assert!(taken.contains(&kind), "{code} was taken"),
            Some(why) => {
                assert!(!taken.contains(&kind), "{code}: {why}");
                assert!(why.starts_with("test.lua:3: ") && !why.contains("lunamoth") && !why.contains("bad argument"), "{code}: {why}");
            }
        }
    }
}

/// A VM's context as on the master: no lane, no user.
pub fn context_at(stage: Stage) -> Rc<VmContext> {
    Rc::new(VmContext {
        stage: Cell::new(stage),
        lane: None,
        env: RefCell::new(BTreeMap::new()),
        asked: RefCell::default(),
        client_hosts: RefCell::default(),
        current: RefCell::new(None),
        files: RefCell::default(),
        metrics: RefCell::new(BTreeMap::new()),
    })
}
