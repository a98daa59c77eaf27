//! Stops a script that does not yield: one thread a lane looks every twentieth of a second whether the lane has been in the same stretch of Lua for more
//! than a second, and signals the lane's thread; the signal's handler sets a hook, and the hook raises an error in the script.
//!
//! | strike | what happens |
//! |---|---|
//! | first | the hook raises once, with file and line; the iteration ends by it, and where the script catches it, the user ends (`vm`) |
//! | further | the hook stays and raises at every instruction until Lua is left, so that no `pcall` of the script survives it; the user's coroutine is dead |
//!
//! A stretch that was seen at two looks holds its lane. It is asked in the same way for its place, once: its hook notes file and line and raises nothing.
//!
//! Whatever is raised names the place at which the strike hit, however far out it is seen. Count hooks fire in compiled code only because LuaJIT is built
//! with `LUAJIT_ENABLE_CHECKHOOK`. A C function cannot be interrupted: LuaJIT's have bounds of their own (`pattern`, `lua-stdlib/engine`), and ours
//! ask [`is_struck`] now and then.

use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::io::Write as _;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence};
use std::sync::{Arc, Once};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mlua::ffi;

/// Watches the Lua of one thread, the one that made it.
#[derive(Debug)]
pub(super) struct Watchdog {
    watch: Arc<Watch>,
    thread: Option<JoinHandle<()>>,
    /// The signals go to the thread that made the watchdog, so it must not leave it.
    stays_here: PhantomData<*const ()>,
}

impl Watchdog {
    /// Begins to watch the calling thread. Stretches of Lua longer than `limit` are stopped.
    pub(super) fn start(limit: Duration) -> Result<Self, String> {
        install_handler();
        let watch = Arc::new(Watch::default());
        THREAD_WATCH.set(Arc::as_ptr(&watch));
        // SAFETY: takes no arguments and cannot fail.
        let lane = unsafe { libc::pthread_self() };
        let watched = Arc::clone(&watch);
        let thread = std::thread::Builder::new()
            .name("lua-watchdog".to_owned())
            .spawn(move || guard(&watched, lane, limit))
            .map_err(|error| format!("cannot start the watchdog of the scripts: {error}"))?;
        Ok(Self { watch, thread: Some(thread), stays_here: PhantomData })
    }

    /// Lua begins to run in the VM whose main state is `state`; until the answer is dropped.
    #[inline]
    pub(super) fn enter(&self, state: *mut ffi::lua_State) -> Stretch<'_> {
        self.watch.state.store(state, Ordering::Relaxed);
        debug_assert!(self.watch.strikes.load(Ordering::Relaxed) == 0, "the end of a stretch forgets its strikes");
        compiler_fence(Ordering::SeqCst);
        self.watch.stretch.store(self.watch.stretch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        Stretch { watch: &self.watch }
    }

    /// How many strikes this thread's Lua has had.
    #[cfg(test)]
    fn strikes(&self) -> u32 {
        self.watch.strikes_ever.load(Ordering::Relaxed)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.watch.is_closed.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // After the join no signal is on its way that could look at `watch`: the handler runs on this very thread.
            let _ = thread.join();
        }
        if ptr::eq(THREAD_WATCH.get(), Arc::as_ptr(&self.watch)) {
            THREAD_WATCH.set(ptr::null());
        }
    }
}

/// A stretch of Lua on the lane's thread: as long as it lives, the thread is in Lua.
pub(super) struct Stretch<'a> {
    watch: &'a Watch,
}

impl Stretch<'_> {
    /// How long the lane has been held, where the watchdog saw this stretch twice: others wait meanwhile.
    #[inline]
    pub(super) fn held(&self) -> Option<Duration> {
        let watch = self.watch;
        if watch.long.load(Ordering::Relaxed) != watch.stretch.load(Ordering::Relaxed) {
            return None;
        }
        let began = Duration::from_micros(watch.long_began_us.load(Ordering::Relaxed));
        Some(watch.base.elapsed().saturating_sub(began))
    }

    /// Where the script was when the stretch was seen to hold its lane; `None` where it was in no Lua of its own, such as in a native.
    pub(super) fn place(&self) -> Option<String> {
        let place = HELD_PLACE.get();
        (self.watch.is_asked.load(Ordering::Relaxed) && place.length > 0 && !place.is_ours()).then(|| place.text())
    }

    /// Where the script ran for too long in this stretch, and that it did; nothing where it did not.
    #[inline]
    pub(super) fn runaway(&self) -> Option<String> {
        if self.watch.strikes.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let place = PLACE.get();
        let message = MESSAGE.to_string_lossy();
        Some(if place.length == 0 { message.into_owned() } else { format!("{}: {message}", place.text()) })
    }
}

impl Drop for Stretch<'_> {
    #[inline]
    fn drop(&mut self) {
        let watch = self.watch;
        watch.stretch.store(watch.stretch.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        compiler_fence(Ordering::SeqCst);
        // From here on the handler sets no hook. One that was set and has not fired must not hit the next stretch.
        if watch.strikes.load(Ordering::Relaxed) != 0 || watch.is_asked.load(Ordering::Relaxed) {
            watch.strikes.store(0, Ordering::Relaxed);
            watch.is_pending.store(false, Ordering::Relaxed);
            watch.is_asked.store(false, Ordering::Relaxed);
            PLACE.set(Place::default());
            HELD_PLACE.set(Place::default());
            // SAFETY: the state was stored by `enter` and its VM outlives the stretch; we are on the VM's thread, outside of Lua.
            unsafe { ffi::lua_sethook(watch.state.load(Ordering::Relaxed), None, 0, 0) };
        }
    }
}

/// What the lane's thread, its signal handler, its hook and the watchdog's thread share.
#[derive(Debug)]
struct Watch {
    /// Odd while the lane's thread is in Lua; grows at each entry and each exit.
    stretch: AtomicU64,
    /// The main state of the VM that runs, valid while `stretch` is odd.
    state: AtomicPtr<ffi::lua_State>,
    /// Written by the watchdog before it signals: the stretch that is meant, so that a late signal hits no later one.
    condemned: AtomicU64,
    /// The same of a stretch that shall say where it is.
    asked: AtomicU64,
    /// It has been asked in this stretch. Written by the lane's thread only.
    is_asked: AtomicBool,
    /// The last stretch that was seen at two looks, and when it was seen first, counted from `base`. Written by the watchdog.
    long: AtomicU64,
    long_began_us: AtomicU64,
    base: Instant,
    /// Strikes in this stretch. Written by the lane's thread only.
    strikes: AtomicU32,
    /// A strike has come whose hook has not fired yet. Written by the lane's thread only.
    is_pending: AtomicBool,
    /// Strikes in all stretches.
    strikes_ever: AtomicU32,
    /// The watchdog's thread shall end.
    is_closed: AtomicBool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            stretch: AtomicU64::default(),
            state: AtomicPtr::default(),
            condemned: AtomicU64::default(),
            asked: AtomicU64::default(),
            is_asked: AtomicBool::default(),
            long: AtomicU64::default(),
            long_began_us: AtomicU64::default(),
            base: Instant::now(),
            strikes: AtomicU32::default(),
            is_pending: AtomicBool::default(),
            strikes_ever: AtomicU32::default(),
            is_closed: AtomicBool::default(),
        }
    }
}

impl Watch {
    /// The stretch was seen at two looks, first at `began`. What was noted of it before stays. True if it is news.
    fn note_long(&self, stretch: u64, began: Instant) -> bool {
        if self.long.load(Ordering::Relaxed) == stretch {
            return false;
        }
        let began = began.saturating_duration_since(self.base);
        self.long_began_us.store(u64::try_from(began.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.long.store(stretch, Ordering::Relaxed);
        true
    }
}

/// Watches one lane, on a thread of its own, until the watch is closed.
fn guard(watch: &Watch, lane: libc::pthread_t, limit: Duration) {
    let pause = LOOK_EVERY.min(limit / 4);
    let clock = ThreadClock::of(lane);
    let mut seen = (0, Instant::now());
    let mut cpu_seen = clock.now();
    while !watch.is_closed.load(Ordering::Acquire) {
        std::thread::park_timeout(pause);
        let stretch = watch.stretch.load(Ordering::Acquire);
        if stretch.is_multiple_of(2) || stretch != seen.0 {
            seen = (stretch, Instant::now());
            cpu_seen = clock.now();
            continue;
        }
        // On a crowded core it may have little of the time; what takes a core of its own for two looks takes as much processor time.
        if clock.used_since(cpu_seen).is_none_or(|used| used >= pause.min(seen.1.elapsed() / 2))
            && watch.note_long(stretch, seen.1)
            && !watch.is_closed.load(Ordering::Acquire)
        {
            watch.asked.store(stretch, Ordering::Release);
            // SAFETY: the lane's thread joins this one before it ends (`Watchdog::drop`), so the id is valid.
            unsafe { libc::pthread_kill(lane, signal()) };
        }
        if seen.1.elapsed() >= limit && clock.used_since(cpu_seen).is_some_and(|used| used < limit / 2) {
            // The machine, not the script, keeps the stretch from its end: a throttled cgroup, a crowded core.
        } else if seen.1.elapsed() >= limit && !watch.is_closed.load(Ordering::Acquire) {
            // On a crowded core it may have had less than half of the time, and held the lane all the same.
            watch.note_long(stretch, seen.1);
            watch.condemned.store(stretch, Ordering::Release);
            // SAFETY: the lane's thread joins this one before it ends (`Watchdog::drop`), so the id is valid.
            unsafe { libc::pthread_kill(lane, signal()) };
            // A script that swallowed the error has a quarter of the limit until the next strike.
            seen.1 = Instant::now().checked_sub(limit - limit / 4).unwrap_or(seen.1);
        }
    }
}

/// The processor time of another thread.
struct ThreadClock(Option<libc::clockid_t>);

impl ThreadClock {
    fn of(thread: libc::pthread_t) -> Self {
        let mut clock = 0;
        // SAFETY: the thread is alive: it joins the caller before it ends. `clock` is writable for the whole call.
        let is_known = unsafe { libc::pthread_getcpuclockid(thread, &raw mut clock) } == 0;
        Self(is_known.then_some(clock))
    }

    fn used_since(&self, before: Option<Duration>) -> Option<Duration> {
        Some(self.now()?.saturating_sub(before?))
    }

    /// What the thread has used since its begin; `None` where the system has no such clock.
    fn now(&self) -> Option<Duration> {
        let clock = self.0?;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is writable for the whole call.
        let is_read = unsafe { libc::clock_gettime(clock, &raw mut time) } == 0;
        is_read.then(|| Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0)))
    }
}

thread_local! {
    /// The watch of this thread; read by the signal handler. A plain cell without a destructor, so that reading it allocates nothing.
    static THREAD_WATCH: Cell<*const Watch> = const { Cell::new(ptr::null()) };

    /// Where the last strike of this stretch hit. Written by the hook, which unwinds: so it is plain memory, never borrowed.
    static PLACE: Cell<Place> = const { Cell::new(Place { bytes: [0; PLACE_BYTES], length: 0 }) };

    /// Where this stretch was when it was asked. As of `PLACE`.
    static HELD_PLACE: Cell<Place> = const { Cell::new(Place { bytes: [0; PLACE_BYTES], length: 0 }) };
}

/// Whether this thread's script has run for too long and has not been told yet. A native that takes long asks now and then, and returns at once where it
/// has: the error follows with the script's next instruction.
#[inline]
pub(super) fn is_struck() -> bool {
    let watch = THREAD_WATCH.get();
    // SAFETY: `Watchdog` clears the pointer on this thread before the watch goes.
    !watch.is_null() && unsafe { (*watch).is_pending.load(Ordering::Relaxed) }
}

/// This thread is outside of Lua until the answer is dropped, though Lua called: for natives that may take long where no user waits, in a load.
pub(super) fn away() -> Away {
    Away { watch: pass_over(THREAD_WATCH.get(), 1) }
}

/// See [`away`].
pub(super) struct Away {
    watch: *const Watch,
}

impl Drop for Away {
    fn drop(&mut self) {
        pass_over(self.watch, 0);
    }
}

/// Into Lua or out of it, where the thread's watch says the other of the two by `parity`; the watch, if so.
fn pass_over(watch: *const Watch, parity: u64) -> *const Watch {
    if watch.is_null() {
        return watch;
    }
    // SAFETY: `Watchdog` clears the pointer on this thread before the watch goes, and both ends of an absence lie in one call from Lua.
    let stretch = unsafe { &(*watch).stretch };
    let before = stretch.load(Ordering::Relaxed);
    if before % 2 != parity {
        return ptr::null();
    }
    stretch.store(before.wrapping_add(1), Ordering::Release);
    compiler_fence(Ordering::SeqCst);
    watch
}

/// Whether the watchdog has struck in the stretch of Lua that this thread is in.
pub(super) fn has_struck() -> bool {
    let watch = THREAD_WATCH.get();
    // SAFETY: `Watchdog` clears the pointer on this thread before the watch goes.
    !watch.is_null() && unsafe { (*watch).strikes.load(Ordering::Relaxed) > 0 }
}

/// Whether the text of an error is that of a strike.
pub(super) fn is_strike(text: &str) -> bool {
    text.as_bytes().ends_with(MESSAGE.to_bytes())
}

/// A file and a line.
#[derive(Debug, Clone, Copy)]
struct Place {
    bytes: [u8; PLACE_BYTES],
    length: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { bytes: [0; PLACE_BYTES], length: 0 }
    }
}

impl Place {
    fn is_ours(&self) -> bool {
        self.bytes.starts_with(OURS)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes.get(..self.length).unwrap_or_default()).into_owned()
    }
}

fn signal() -> c_int {
    // The lowest ones are taken by the C library, and by profilers by habit.
    libc::SIGRTMIN() + 6
}

fn install_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: a zeroed sigaction is a valid one; the handler does only what is allowed in a signal.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal(), &raw const action, ptr::null_mut());
        }
    });
}

/// On the lane's thread. Atomics and `lua_sethook`, which LuaJIT allows in a signal.
extern "C" fn on_signal(_: c_int) {
    let watch = THREAD_WATCH.get();
    if watch.is_null() {
        return;
    }
    // SAFETY: `Watchdog` clears the pointer on this thread before the watch goes.
    let watch = unsafe { &*watch };
    let stretch = watch.stretch.load(Ordering::Relaxed);
    if stretch.is_multiple_of(2) {
        return;
    }
    if stretch == watch.asked.swap(0, Ordering::Relaxed) {
        watch.is_asked.store(true, Ordering::Relaxed);
        // SAFETY: the stretch is odd and this is its thread, so the state is alive.
        unsafe { set_hook(watch.state.load(Ordering::Relaxed)) };
    }
    if stretch == watch.condemned.load(Ordering::Relaxed) {
        watch.strikes.store(watch.strikes.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        watch.is_pending.store(true, Ordering::Relaxed);
        watch.strikes_ever.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the stretch is odd and this is its thread, so the state is alive.
        unsafe { set_hook(watch.state.load(Ordering::Relaxed)) };
    }
}

unsafe fn set_hook(state: *mut ffi::lua_State) {
    let events = ffi::LUA_MASKCOUNT | ffi::LUA_MASKCALL | ffi::LUA_MASKRET;
    // SAFETY: the caller's state is alive and on this thread.
    unsafe { ffi::lua_sethook(state, Some(stop), events, 1) };
}

/// The hook: notes where the script is, and raises in it where the watchdog has struck.
unsafe extern "C-unwind" fn stop(state: *mut ffi::lua_State, _: *mut ffi::lua_Debug) {
    let watch = THREAD_WATCH.get();
    // SAFETY: the handler set this hook on this thread, so the watch is there, and the state is the one that runs.
    unsafe {
        if !watch.is_null() && HELD_PLACE.get().length == 0 && (*watch).is_asked.load(Ordering::Relaxed) {
            HELD_PLACE.set(place_in(state));
        }
        if !watch.is_null() && (*watch).strikes.load(Ordering::Relaxed) == 0 {
            // It was asked for its place, and goes on.
            ffi::lua_sethook(state, None, 0, 0);
            return;
        }
        if watch.is_null() || (*watch).strikes.load(Ordering::Relaxed) < 2 {
            ffi::lua_sethook(state, None, 0, 0);
        }
        if !watch.is_null() && (*watch).is_pending.swap(false, Ordering::Relaxed) {
            let place = place_in(state);
            // The strikes that follow find the engine at clearing up after the first.
            if PLACE.get().length == 0 || !place.is_ours() {
                PLACE.set(place);
            }
        }
        raise(state)
    }
}

/// The place of the script's innermost function that has one; of the engine's, where the script is in none.
unsafe fn place_in(state: *mut ffi::lua_State) -> Place {
    let mut place = Place::default();
    // SAFETY: the caller's state is running; `lua_getinfo` fills the frame, whose text ends with a zero.
    unsafe {
        let mut frame: ffi::lua_Debug = std::mem::zeroed();
        for level in 0..DEEPEST {
            if ffi::lua_getstack(state, level, &raw mut frame) == 0 {
                break;
            }
            ffi::lua_getinfo(state, c"Sl".as_ptr(), &raw mut frame);
            if frame.currentline <= 0 {
                continue;
            }
            let file = CStr::from_ptr(frame.short_src.as_ptr()).to_bytes();
            let is_ours = file.starts_with(OURS);
            if is_ours && place.length > 0 {
                continue;
            }
            place = Place::default();
            let mut free = &mut place.bytes[..];
            // A name that is too long for its place is cut: LuaJIT's own are shorter.
            let _ = free.write_all(file).and_then(|()| write!(free, ":{}", frame.currentline));
            let left = free.len();
            place.length = PLACE_BYTES - left;
            if !is_ours {
                break;
            }
        }
    }
    place
}

/// Raises the watchdog's error with the place of the strike.
unsafe fn raise(state: *mut ffi::lua_State) {
    let place = PLACE.get();
    // SAFETY: the caller's state is running; nothing here has a destructor that the unwinding would skip.
    unsafe {
        if place.length > 0 {
            ffi::lua_pushlstring(state, place.bytes.as_ptr().cast(), place.length);
            ffi::lua_pushfstring(state, c"%s: %s".as_ptr(), ffi::lua_tostring(state, -1), MESSAGE.as_ptr());
        } else {
            ffi::lua_pushfstring(state, c"%s".as_ptr(), MESSAGE.as_ptr());
        }
        ffi::lua_error(state);
    }
}

/// What the names of the engine's own chunks begin with.
const OURS: &[u8] = b"[lunamoth";

/// What a strike says, behind its place.
pub(super) const MESSAGE: &CStr = c"the script ran for more than 1 s without yielding";

/// How long a script may run without yielding.
const LIMIT: Duration = Duration::from_secs(1);

/// [`LIMIT`], or in a test what it has set for its thread.
pub(super) fn limit() -> Duration {
    #[cfg(test)]
    return TEST_LIMIT.get();
    #[cfg(not(test))]
    return LIMIT;
}

#[cfg(test)]
thread_local! {
    static TEST_LIMIT: Cell<Duration> = const { Cell::new(LIMIT) };
}

/// For tests that wait for the watchdog.
#[cfg(test)]
pub(super) fn limit_in_tests(limit: Duration) {
    TEST_LIMIT.set(limit);
}

/// Two looks apart, a stretch holds its lane: far longer than any request's, and the others notice.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Frames that are searched for the place of an error.
const DEEPEST: c_int = 64;

/// Bytes of a place: LuaJIT's short names have at most 60, and a line ten digits.
const PLACE_BYTES: usize = 80;

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

    fn main_state(lua: &Lua) -> *mut ffi::lua_State {
        let mut state = ptr::null_mut();
        // SAFETY: only takes the pointer.
        unsafe { lua.exec_raw::<()>((), |raw| state = raw).unwrap() };
        state
    }

    /// Runs `source` under a limit of 60 ms; what it raised.
    fn stopped(source: &str) -> (String, u32) {
        let lua = Lua::new();
        let watchdog = Watchdog::start(Duration::from_millis(60)).unwrap();
        let state = main_state(&lua);
        let chunk = lua.load(source).set_name("@loop.lua").into_function().unwrap();
        let stretch = watchdog.enter(state);
        let result = chunk.call::<()>(());
        drop(stretch);
        // The VM is well afterwards.
        assert_eq!(lua.load("local n = 0 for i = 1, 1000 do n = n + i end return n").eval::<i64>().unwrap(), 500_500);
        (result.expect_err("it was stopped").to_string(), watchdog.strikes())
    }

    #[test]
    fn a_loop_that_runs_as_machine_code_is_stopped_with_file_and_line() {
        let (error, _) = stopped("local n = 0\nwhile true do n = n + 1 end");
        assert!(error.contains("loop.lua:2: the script ran for more than 1 s without yielding"), "{error}");
    }

    #[test]
    fn loops_of_other_kinds_are_stopped_too() {
        for source in [
            "while true do end",
            "local function f() return f() end f()",
            "local t = {} for i = 1, math.huge do t[i % 7] = tostring(i) end",
            "repeat local s = ('x'):rep(10) until false",
            "for _ in function() return 1 end do end",
            "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
        ] {
            let (error, _) = stopped(source);
            assert!(error.contains("without yielding"), "{source}: {error}");
        }
    }

    #[test]
    fn a_script_that_swallows_the_error_is_ended_by_the_second_strike() {
        let (error, strikes) = stopped("while true do pcall(function() while true do end end) end");
        assert!(error.contains("loop.lua:1: the script ran for more than 1 s without yielding"), "{error}");
        assert!(strikes >= 2, "{strikes}");
        let (error, _) = stopped("local function f()\nwhile true do end\nend\nwhile true do\nlocal ok = pcall(f)\nend");
        assert!(error.contains("loop.lua:2: the script ran"), "the place of the strike, not that of the last catch: {error}");
    }

    #[test]
    fn a_stretch_that_holds_its_lane_is_noticed_and_a_short_one_is_not() {
        let lua = Lua::new();
        let watchdog = Watchdog::start(Duration::from_secs(60)).unwrap();
        let state = main_state(&lua);
        let short = watchdog.enter(state);
        assert_eq!(short.held(), None);
        drop(short);
        // On a crowded machine the lane may have too little of its core for it to be the script that holds it: some stretch has enough.
        let begin = Instant::now();
        let long = loop {
            assert!(begin.elapsed() < Duration::from_secs(60), "it was not noticed");
            let long = watchdog.enter(state);
            let began = Instant::now();
            while long.held().is_none() && began.elapsed() < 10 * LOOK_EVERY {}
            if let Some(held) = long.held() {
                assert!(held <= began.elapsed() + LOOK_EVERY);
                break long;
            }
        };
        drop(long);
        assert_eq!(watchdog.enter(state).held(), None);
    }

    #[test]
    fn a_stretch_that_holds_its_lane_says_where_it_is_and_goes_on() {
        let lua = Lua::new();
        let watchdog = Watchdog::start(Duration::from_secs(60)).unwrap();
        let state = main_state(&lua);
        let chunk = lua.load("local n = 0\nfor i = 1, 2e8 do n = n + i % 7 end\nreturn n").set_name("@held.lua").into_function().unwrap();
        // On a crowded machine a stretch may be short of processor time, and is not noticed then.
        let begin = Instant::now();
        let place = loop {
            assert!(begin.elapsed() < Duration::from_secs(60), "it was not noticed");
            let stretch = watchdog.enter(state);
            chunk.call::<f64>(()).unwrap();
            if let (Some(_), Some(place)) = (stretch.held(), stretch.place()) {
                break place;
            }
        };
        assert_eq!(place, "held.lua:2");
        assert_eq!((watchdog.strikes(), watchdog.enter(state).place()), (0, None));
    }

    #[test]
    fn a_script_that_yields_in_time_is_left_alone() {
        let lua = Lua::new();
        let watchdog = Watchdog::start(Duration::from_millis(40)).unwrap();
        let state = main_state(&lua);
        let chunk = lua.load("local n = 0 for i = 1, 1000 do n = n + i end return n").into_function().unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(150) {
            let _stretch = watchdog.enter(state);
            assert_eq!(chunk.call::<i64>(()).unwrap(), 500_500);
        }
        assert_eq!(watchdog.strikes(), 0);
    }
}
