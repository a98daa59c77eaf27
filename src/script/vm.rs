//! One Lua VM: opened from a bundle, sandboxed, the script evaluated in it once; afterwards it resumes users' coroutines.
//!
//! Owns the order of the opening and the account of memory. What a resume means for a user is `session`'s.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Thread, Value, ffi};

use super::account::{Account, UserKey};
use super::answer::Answer;
use super::bundle::SourceFile;
use super::context::{Stage, UserState, VmContext};
use super::crossing::Crossing;
use super::driver::{self, Request};
use super::error::LoadScriptError;
use super::scenario::{ClassRuntime, Described};
use super::sources::Sources;
use super::watchdog::{self, Watchdog};
use super::{bindings, hints, numerals, pattern, stdlib, traceback, value};
use crate::plan::TagFilter;
use crate::spelling::{nearest, third};

/// A VM whose script has been evaluated.
pub(super) struct Vm {
    pub(super) lua: Lua,
    pub(super) main_state: *mut ffi::lua_State,
    pub(super) context: Rc<VmContext>,
    crossing: Crossing,
    pub(super) watchdog: Rc<Watchdog>,
    new_user: Function,
    renew_user: Function,
    placed: Function,
    /// What the scenario's functions `setup` and `teardown` are.
    pub(super) acts: super::scenario::Acts,
    /// What `scenario.shape` says of a moment.
    pub(super) level: Option<Function>,
    /// The classes, in the plan's order.
    pub(super) classes: Vec<ClassRuntime>,
    /// Users that live here, by index and side.
    accounts: RefCell<BTreeMap<UserKey, Rc<Account>>>,
    /// How long the last resume held the lane, where that was long, and where the script was then.
    held: RefCell<Option<Held>>,
    memory_limit: usize,
    /// Past so many bytes the collector is run in full.
    collect_at: Cell<usize>,
}

/// How long a lane was held, and at which file and line, where that is known.
pub(super) type Held = (Duration, Option<String>);

/// How a resume went.
pub(super) enum Resumed {
    /// It yielded, and waits for an answer.
    Asks(Request),
    /// The coroutine is dead, and why.
    Dead(String),
    /// The user was dropped because its step grew the VM most.
    Dropped,
}

impl Vm {
    /// Opens a VM and evaluates the script in it.
    ///
    /// # Errors
    /// Whatever is wrong with the script, or the tags leave a class without a task.
    pub(super) fn open(
        sources: &Rc<Sources>,
        context: Rc<VmContext>,
        tags: &TagFilter,
        watchdog: Rc<Watchdog>,
    ) -> Result<(Self, Described), LoadScriptError> {
        // SAFETY: `debug` is loaded for its traceback only; the sandbox keeps it, and all else that is unsafe, from scripts.
        let lua = unsafe { Lua::unsafe_new_with(StdLib::ALL_SAFE | StdLib::DEBUG, LuaOptions::default()) };
        let main_state = main_state(&lua).map_err(engine_error)?;
        let crossing = Crossing::default();
        context.files.replace(Some(Rc::clone(sources)));
        let opened = Opened::new(&lua, sources, &context, &crossing).map_err(engine_error)?;
        // On machines where LuaJIT brings its own allocator there is no limit; everything else works all the same.
        let memory_limit = if lua.set_memory_limit(MEMORY_LIMIT_BYTES).is_ok() { MEMORY_LIMIT_BYTES } else { usize::MAX };
        let stretch = watchdog.enter(main_state);
        let described = opened.evaluate(&lua, sources, tags);
        drop(stretch);
        context.files.take();
        let described = described?;
        opened.seal.call::<()>(()).map_err(engine_error)?;
        context.stage.set(Stage::Running);
        lua.gc_collect().map_err(engine_error)?;
        let vm = Self {
            main_state,
            context,
            crossing,
            watchdog,
            new_user: opened.native.get("new_user").map_err(engine_error)?,
            renew_user: opened.native.get("renew_user").map_err(engine_error)?,
            placed: opened.native.get("placed").map_err(engine_error)?,
            acts: described.acts,
            level: opened.native.get::<Table>("scenario_natives").and_then(|natives| natives.get("level")).map_err(engine_error)?,
            classes: described.runtimes.clone(),
            accounts: RefCell::default(),
            held: RefCell::default(),
            memory_limit,
            collect_at: Cell::new(memory_limit / 4 * 3),
            lua,
        };
        Ok((vm, described))
    }

    /// Makes the coroutine of a user.
    pub(super) fn admit(&self, class: usize, user: UserKey, profile: Option<&str>) -> Result<Rc<Account>, String> {
        let class = self.classes.get(class).ok_or("the scenario has no such class")?;
        let coroutine: Thread = self.new_user.call((class.number, user.0, profile)).map_err(|error| traceback::error_text(&error))?;
        let account = Rc::new(Account { coroutine: RefCell::new(Some(coroutine)), grown_bytes: Cell::new(0) });
        self.accounts.borrow_mut().insert(user, Rc::clone(&account));
        Ok(account)
    }

    /// Ends what the user's coroutine is doing where it stands, past any `pcall` of the script: the coroutine goes, and a fresh one takes its place,
    /// with the same `self`.
    ///
    /// # Errors
    /// There is no coroutine, or no memory for another one, in words for people.
    pub(super) fn unwind(&self, account: &Account) -> Result<(), String> {
        let coroutine = account.coroutine.take().ok_or("the user's coroutine is gone")?;
        let fresh: Thread = self.renew_user.call(coroutine).map_err(|error| traceback::error_text(&error))?;
        account.coroutine.replace(Some(fresh));
        Ok(())
    }

    pub(super) fn discharge(&self, user: UserKey, account: &Account) {
        account.coroutine.take();
        self.accounts.borrow_mut().remove(&user);
    }

    /// How many users live here.
    pub(super) fn users(&self) -> usize {
        self.accounts.borrow().len()
    }

    /// Runs the user's coroutine until it asks for something.
    pub(super) fn resume(&self, user: &Rc<UserState>, account: &Account, answer: Answer) -> Resumed {
        let before = self.lua.used_memory();
        let request = {
            let coroutine = account.coroutine.borrow();
            let Some(coroutine) = coroutine.as_ref() else {
                return Resumed::Dropped;
            };
            self.context.current.replace(Some(Rc::clone(user)));
            let stretch = self.watchdog.enter(self.main_state);
            let request = self.crossing.resume(&self.lua, coroutine, user, answer);
            let held = stretch.held().map(|length| (length, stretch.place()));
            // Hardly a stretch is long; what needs no change is not written.
            if held.is_some() || self.held.borrow().is_some() {
                self.held.replace(held);
            }
            match stretch.runaway() {
                // A script that caught the error and went on would run away again and again.
                Some(why) if !matches!(request, Ok(Request::Raised { .. })) => Err(why),
                _ => request,
            }
        };
        self.context.current.replace(None);
        let after = self.lua.used_memory();
        account.grown_bytes.set(account.grown_bytes.get().saturating_add_unsigned(after).saturating_sub_unsigned(before));
        let is_exhausted = match &request {
            Ok(Request::Raised { message, .. }) | Err(message) => is_out_of_memory(message) && self.is_nearly_full(account),
            _ => false,
        };
        if is_exhausted {
            self.drop_hungriest();
        } else if after > self.collect_at.get() {
            self.collect();
        }
        match request {
            _ if account.coroutine.borrow().is_none() => Resumed::Dropped,
            Ok(request) => Resumed::Asks(request),
            Err(why) => Resumed::Dead(why),
        }
    }

    /// Why the user's coroutine died in `job`, with the script's own place: that of the job's function, where the strike of the watchdog found none.
    pub(super) fn placed(&self, job: i64, why: String) -> String {
        // Without memory for it, the reason is as it was.
        if watchdog::is_strike(&why) { self.placed.call((why.as_str(), job)).unwrap_or(why) } else { why }
    }

    /// How long the last resume held the lane, where that was so long that the others noticed.
    pub(super) fn held(&self) -> Option<Held> {
        self.held.borrow().clone()
    }

    /// A script can raise LuaJIT's words by itself; what the user's step grew by tells the two apart.
    fn is_nearly_full(&self, account: &Account) -> bool {
        let limit = isize::try_from(self.memory_limit).unwrap_or(isize::MAX);
        self.lua.used_memory() > self.memory_limit / 2 || account.grown_bytes.get() > limit / 4
    }

    /// Takes the coroutine of the user whose step grew the VM most.
    fn drop_hungriest(&self) {
        let accounts = self.accounts.borrow();
        let hungriest =
            accounts.values().filter(|account| account.coroutine.borrow().is_some()).max_by_key(|account| account.grown_bytes.get());
        if let Some(hungriest) = hungriest {
            hungriest.coroutine.take();
            hungriest.grown_bytes.set(0);
        }
        drop(accounts);
        self.collect();
    }

    /// LuaJIT fails an allocation at the limit even where garbage abounds, so the garbage goes before.
    fn collect(&self) {
        // A finaliser that raises has been collected all the same.
        let _ = self.lua.gc_collect();
        let _ = self.lua.gc_collect();
        self.collect_at.set((self.memory_limit / 4 * 3).max(self.lua.used_memory().saturating_add(self.memory_limit / 16)));
    }

    /// Bytes that the VM uses.
    #[cfg(test)]
    pub(super) fn used_bytes(&self) -> usize {
        let _ = self.lua.gc_collect();
        let _ = self.lua.gc_collect();
        self.lua.used_memory()
    }
}

impl std::fmt::Debug for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vm").field("users", &self.users()).finish_non_exhaustive()
    }
}

/// A VM with its sandbox, before the script.
struct Opened {
    native: Table,
    environment: Table,
    seal: Function,
}

impl Opened {
    fn new(lua: &Lua, sources: &Rc<Sources>, context: &Rc<VmContext>, crossing: &Crossing) -> mlua::Result<Self> {
        let native = core_natives(lua, sources, context)?;
        native.set("take", crossing.take_function(lua)?)?;
        let (engine, environment, seal): (Table, Table, Function) = engine_chunk(lua, "engine/sandbox.lua")?.call(&native)?;
        engine_chunk(lua, "engine/user.lua")?.call::<()>((&native, &engine))?;
        // The description of a scenario is needed even where the script is a plain function.
        let scenario_natives = bindings::scenario::natives(lua, context)?;
        native.set("scenario_natives", &scenario_natives)?;
        environment.get::<Function>("require")?.call::<Value>("scenario")?;
        native.set("describe", scenario_natives.get::<Function>("describe")?)?;
        Ok(Self { native, environment, seal })
    }

    /// Runs the script's top level and asks for what it describes.
    fn evaluate(&self, lua: &Lua, sources: &Sources, tags: &TagFilter) -> Result<Described, LoadScriptError> {
        let (file, content) = sources.main();
        let chunk = compile(lua, &file, &content, &self.environment).map_err(|error| match traceback::split_place(&error) {
            Some((file, line, message)) => LoadScriptError::Syntax { file, line, message },
            None => LoadScriptError::Scenario { file: file.clone(), message: error },
        })?;
        let evaluate: Function = self.native.get("evaluate").map_err(engine_error)?;
        let run = |function: &Function, arguments: MultiValue| -> mlua::Result<Result<Value, (String, String)>> {
            let mut all = arguments;
            all.push_front(Value::Function(function.clone()));
            let (is_fine, value, raw): (bool, Value, Option<String>) = evaluate.call(all)?;
            if is_fine {
                return Ok(Ok(value));
            }
            let (Value::String(message), Some(raw)) = (&value, raw) else {
                return Err(mlua::Error::runtime("the error of the script's top level has no text"));
            };
            Ok(Err((message.to_string_lossy(), traceback::script_frames(&raw))))
        };
        let raised = |error: mlua::Error| LoadScriptError::Raised { message: traceback::error_text(&error), traceback: String::new() };
        let result = run(&chunk, MultiValue::new()).map_err(raised)?;
        let result = result.map_err(|(message, traceback)| LoadScriptError::Raised { message, traceback })?;

        let describe: Function = self.native.get("describe").map_err(engine_error)?;
        let filter = lua.create_table_from([("include", tags.include.clone()), ("exclude", tags.exclude.clone())]).map_err(engine_error)?;
        let arguments = (result, sources.scenario_name(), filter);
        let described = run(&describe, lua.pack_multi(arguments).map_err(engine_error)?).map_err(raised)?;
        let described = described.map_err(|(message, _)| LoadScriptError::Scenario { file: file.clone(), message })?;
        let table = described.as_table().ok_or_else(|| LoadScriptError::Engine("the scenario has no description".to_owned()))?;
        Described::from_table(table).map_err(|message| LoadScriptError::Scenario { file, message })
    }
}

/// The natives of the engine's own Lua files.
fn core_natives(lua: &Lua, sources: &Rc<Sources>, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let native = lua.create_table()?;
    native.set("token", driver::token())?;
    native.set("failed", driver::failed())?;
    native.set("operation", driver::operations(lua)?)?;
    pattern::add_natives(lua, &native)?;
    native.set("with_hint", lua.create_function(|_, text: mlua::LuaString| Ok(hints::with_hint(&text.to_string_lossy())))?)?;
    native.set("spells_whole_numbers", numerals::spells_whole_numbers())?;
    native.set("part", lua.create_function(|lua, path: String| engine_chunk(lua, &path))?)?;
    native.set("call", call_function(lua)?)?;
    native.set("strike", watchdog::MESSAGE.to_string_lossy())?;
    native.set("is_runaway", lua.create_function(|_, ()| Ok(watchdog::has_struck()))?)?;
    native.set(
        "seconds",
        lua.create_function(|_, given: Value| {
            Ok(match value::duration(&given) {
                Ok(duration) => (Some(duration.as_secs_f64()), None),
                Err(why) => (None, Some(why)),
            })
        })?,
    )?;
    native.set(
        "per_second",
        lua.create_function(|_, given: Value| {
            Ok(match value::per_second(&given) {
                Ok(rate) => (Some(rate), None),
                Err(why) => (None, Some(why)),
            })
        })?,
    )?;
    native.set(
        "nearest",
        lua.create_function(|_, (name, list): (String, Vec<String>)| {
            Ok(nearest(&name, list.iter().map(String::as_str), |_| third(&name)).map(str::to_owned))
        })?,
    )?;
    native.set("print", bindings::log::print(lua, context)?)?;
    native.set(
        "error_text",
        lua.create_function(|_, error: Value| {
            Ok(match &error {
                Value::Error(error) => traceback::error_text(error),
                other => other.to_string()?,
            })
        })?,
    )?;
    native.set("math_random", bindings::random::math_random(lua, context)?)?;
    add_library(lua, &native, context)?;
    add_source(lua, &native, sources, context)?;
    Ok(native)
}

/// `native.library(name, environment)`: the chunk of a library and its natives; nothing where no library has the name, or nothing and why.
fn add_library(lua: &Lua, native: &Table, context: &Rc<VmContext>) -> mlua::Result<()> {
    let context = Rc::clone(context);
    let own = native.clone();
    let library = lua.create_function(move |lua, (name, environment): (String, Table)| {
        if bindings::LATER.contains(&name.as_str()) {
            return Ok((None, Value::String(lua.create_string(format!("require: this version does not have the library `{name}`"))?)));
        }
        let Some((_, natives)) = bindings::LIBRARIES.iter().find(|library| library.0 == name) else {
            return Ok((None, Value::Nil));
        };
        let natives = match own.get::<Option<Table>>("scenario_natives")? {
            Some(ready) if name == "scenario" => ready,
            _ => natives(lua, &context)?,
        };
        let source =
            stdlib::source(&format!("{name}.lua")).ok_or_else(|| mlua::Error::runtime(format!("the library `{name}` has no source")))?;
        let chunk = lua.load(&*source).set_name(format!("=[lunamoth {name}]")).set_environment(environment).into_function()?;
        Ok((Some(chunk), Value::Table(natives)))
    })?;
    native.set("library", library)
}

/// `native.source(name, environment)`: the chunk of a file beside the script, or nil and why not.
fn add_source(lua: &Lua, native: &Table, sources: &Rc<Sources>, context: &Rc<VmContext>) -> mlua::Result<()> {
    let (sources, context) = (Rc::clone(sources), Rc::clone(context));
    let source = lua.create_function(move |lua, (name, environment): (String, Table)| {
        let compiled =
            module_of(&sources, &name, context.stage.get()).and_then(|(path, content)| compile(lua, &path, &content, &environment));
        Ok(match compiled {
            Ok(chunk) => (Some(chunk), None),
            Err(why) => (None, Some(why)),
        })
    })?;
    native.set("source", source)
}

/// The file that `require "name"` means, or why there is none.
fn module_of(sources: &Sources, name: &str, stage: Stage) -> Result<SourceFile, String> {
    let found = sources.module(name)?;
    found.ok_or_else(|| {
        let plain = name.strip_prefix("./").unwrap_or(name);
        let plain = plain.strip_suffix(".lua").unwrap_or(plain);
        let near = nearest(plain, bindings::LIBRARIES.iter().map(|library| library.0), |_| third(plain));
        let hint = match near {
            Some(near) => format!(", did you mean `{near}`?"),
            None if plain != name => format!(", write `require \"{}\"` for a file beside the script", plain.replace('/', ".")),
            None => String::new(),
        };
        if stage == Stage::Loading {
            format!("require: no library and no file of the script's folder is called `{name}`{hint}")
        } else {
            // Whatever lies in the folder, a worker that runs for hours reads no file in between, nor one that is in no fingerprint.
            format!("require: no library and no file that was read when the script was loaded is called `{name}`: require files at the top of the script{hint}")
        }
    })
}

fn compile(lua: &Lua, file: &str, content: &[u8], environment: &Table) -> Result<Function, String> {
    if content.first() == Some(&0x1b) {
        return Err(format!("{file} is bytecode: a script is text"));
    }
    let text = content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content);
    let chunk = lua.load(text).set_name(format!("@{file}")).set_mode(mlua::chunk::ChunkMode::Text).set_environment(environment.clone());
    chunk.into_function().map_err(|error| match error {
        mlua::Error::SyntaxError { message, .. } => message,
        other => traceback::error_text(&other),
    })
}

fn engine_chunk(lua: &Lua, path: &str) -> mlua::Result<Function> {
    let source = stdlib::source(path).ok_or_else(|| mlua::Error::runtime(format!("`{path}` is missing")))?;
    lua.load(&*source).set_name(format!("=[lunamoth {path}]")).into_function()
}

/// `native.call(function, ...)`: a call behind a C function, through which no coroutine yields.
fn call_function(lua: &Lua) -> mlua::Result<Function> {
    unsafe extern "C-unwind" fn call(state: *mut ffi::lua_State) -> std::ffi::c_int {
        // SAFETY: the engine's Lua gives a function and its arguments; nothing here has a destructor that an error would skip.
        unsafe {
            ffi::lua_call(state, ffi::lua_gettop(state) - 1, ffi::LUA_MULTRET);
            ffi::lua_gettop(state)
        }
    }
    // SAFETY: as `call` says.
    unsafe { lua.create_c_function(call) }
}

fn main_state(lua: &Lua) -> mlua::Result<*mut ffi::lua_State> {
    let mut main = std::ptr::null_mut();
    // SAFETY: only takes the pointer.
    unsafe { lua.exec_raw::<()>((), |state| main = state)? };
    Ok(main)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn engine_error(error: mlua::Error) -> LoadScriptError {
    LoadScriptError::Engine(traceback::error_text(&error))
}

/// What LuaJIT raises when an allocation fails; the second where the handler of the error needed memory too.
fn is_out_of_memory(message: &str) -> bool {
    message.ends_with("not enough memory") || message.ends_with("error in error handling")
}

/// What one VM may use; it has at most [`super::session::USERS_OF_A_VM`] users.
const MEMORY_LIMIT_BYTES: usize = 256 << 20;
