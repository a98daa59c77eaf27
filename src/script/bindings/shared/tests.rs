//! `shared.lua` over its natives: users in VMs of their own share one store, and the test plays the lane.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mlua::{Lua, Table, Thread, Value};

use super::store::Begin;
use super::{Leases, SharedStore, Source, natives_over};

#[derive(Clone)]
struct User {
    store: Arc<SharedStore>,
    leases: Rc<Leases>,
    index: u64,
}

impl Source for User {
    fn store(&self) -> Option<Arc<SharedStore>> {
        Some(Arc::clone(&self.store))
    }

    fn with_user<R>(&self, use_it: impl FnOnce(u64, &Leases) -> R) -> Option<R> {
        Some(use_it(self.index, &self.leases))
    }
}

/// A VM of its own for each user, as on different lanes; operations are yielded to the test.
fn vm(store: &Arc<SharedStore>, index: u64) -> Lua {
    let lua = Lua::new();
    let source = User { store: Arc::clone(store), leases: Rc::default(), index };
    let natives = natives_over(&lua, &source).unwrap();
    let engine: Table = lua
        .load(
            "return { operation = { flight = 'flight' }, must_run = function() end, lock_library = function() end, capture = function(e) return e end,
                      rethrow = function(e) error(e, 0) end, call = coroutine.yield,
                      seconds = function(value) return value end }",
        )
        .eval()
        .unwrap();
    let module: Table = lua.load(include_str!("../../../../lua-stdlib/shared.lua")).set_name("=shared").call((natives, engine)).unwrap();
    lua.globals().set("shared", module).unwrap();
    lua
}

fn thread(lua: &Lua, code: &str) -> Thread {
    lua.create_thread(lua.load(code).set_name("=script").into_function().unwrap()).unwrap()
}

#[test]
fn values_are_copied_both_ways_between_vms() {
    let store = Arc::new(SharedStore::new());
    let (one, other) = (vm(&store, 1), vm(&store, 2));
    one.load("local t = { a = { 1, 2, 'x' }, [5] = true }; shared.set('t', t); t.a[1] = 99").exec().unwrap();
    other
        .load(
            "local t = shared.get('t'); assert(t.a[1] == 1 and t.a[3] == 'x' and #t.a == 3 and t[5] == true); t.a = nil
               assert(shared.get('t').a and shared.get('nothing') == nil)
               shared.set('t', nil)",
        )
        .exec()
        .unwrap();
    one.load("assert(shared.get('t') == nil and shared.incr('n') == 1)").exec().unwrap();
    other.load("assert(shared.incr('n', 5) == 6 and shared.get('n') == 6)").exec().unwrap();
}

#[test]
fn null_and_empty_lists_stay_what_they_are() {
    let store = Arc::new(SharedStore::new());
    let (one, other) = (vm(&store, 1), vm(&store, 2));
    let value = super::super::json::decode_path(&one, br#"{"list":[],"none":null}"#, None, false).unwrap();
    one.globals().set("value", value).unwrap();
    one.load("shared.set('doc', value)").exec().unwrap();
    let back: Value = other.load("return shared.get('doc')").eval().unwrap();
    assert_eq!(super::super::json::encode_to_vec(&other, &back).unwrap(), br#"{"list":[],"none":null}"#);
}

#[test]
fn one_user_fills_and_the_others_wait_across_vms() {
    let store = Arc::new(SharedStore::new());
    let (one, other) = (vm(&store, 1), vm(&store, 2));
    let code = "return shared.cached('token', { ttl = 50 }, function() return coroutine.yield('request') end)";
    let (first, second) = (thread(&one, code), thread(&other, code));
    assert_eq!(first.resume::<String>(()).unwrap(), "request");
    assert_eq!(second.resume::<(String, String)>(()).unwrap(), ("flight".into(), "token".into()));
    assert_eq!(first.resume::<String>("abc").unwrap(), "abc");
    assert_eq!(second.resume::<String>(()).unwrap(), "abc");
}

#[test]
fn an_error_reaches_the_caller_that_made_it_and_the_next_one_tries() {
    let store = Arc::new(SharedStore::new());
    let (one, other) = (vm(&store, 1), vm(&store, 2));
    let code = "return shared.cached('token', function() return coroutine.yield('request') or error('no token') end)";
    let (first, second) = (thread(&one, code), thread(&other, code));
    first.resume::<String>(()).unwrap();
    second.resume::<(String, String)>(()).unwrap();
    assert!(first.resume::<Value>(()).unwrap_err().to_string().contains("script:1: no token"));
    assert_eq!(second.resume::<String>(()).unwrap(), "request");
    assert_eq!(second.resume::<String>("abc").unwrap(), "abc");
}

#[test]
fn a_user_that_is_dropped_in_flight_gives_its_lease_up() {
    let store = Arc::new(SharedStore::new());
    let one = vm(&store, 1);
    let first = thread(&one, "shared.cached('token', function() return coroutine.yield('request') end)");
    first.resume::<String>(()).unwrap();
    assert!(matches!(store.begin("token", 2, Instant::now()), Begin::Wait));
    drop((first, one));
    assert!(matches!(store.begin("token", 2, Instant::now()), Begin::Fill(_)));
}

#[test]
fn a_mistake_is_raised_at_the_callers_line_and_leaves_no_flight_behind() {
    let store = Arc::new(SharedStore::new());
    for (code, why) in [
        ("shared.get(5)", "script:1: shared.get: the key must be a string"),
        ("shared.set('a', print)", "script:1: shared.set: a function cannot leave its user"),
        ("shared.set('a', { b = { coroutine.create(print) } })", "script:1: shared.set: a thread cannot leave its user"),
        ("local t = {}; t.t = t; shared.set('a', t)", "script:1: shared.set: a table is nested deeper than 64 levels, or contains itself"),
        ("shared.set('s', 'x'); shared.incr('s')", "script:1: shared.incr: `s` is a string, not a number"),
        ("shared.incr('n', 0/0)", "script:1: shared.incr: a finite number is needed"),
        ("shared.cached('a', { tll = 5 }, print)", "script:1: shared.cached: unknown option `tll`; there is `ttl`"),
        ("shared.cached('a', {})", "script:1: shared.cached: the last argument must be a function, got nil"),
        ("shared.cached('a', function() return print end) ", "shared.cached: a function cannot leave its user"),
        ("shared.cached('a', function() return shared.cached('a', print) end)", "`a` is asked for inside of the function that fills it"),
    ] {
        let error = vm(&store, 1).load(code).set_name("=script").exec().unwrap_err().to_string();
        assert!(error.contains(why), "{code}: {error}");
    }
    assert!(matches!(store.begin("a", 2, Instant::now()), Begin::Fill(_)));
}
