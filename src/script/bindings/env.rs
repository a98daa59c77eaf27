//! `require "env"`: settings for scripts, from `--set` and from the environment of the master.
//!
//! What the master answered while it loaded the script travels with the plan, so every VM answers the same.

use std::rc::Rc;

use mlua::{Lua, Table};

use crate::script::context::{Stage, VmContext};

/// Registers what `lua-stdlib/env.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    register(lua, context, |name| std::env::var(name).ok())
}

fn register(lua: &Lua, context: &Rc<VmContext>, process: impl Fn(&str) -> Option<String> + 'static) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let context = Rc::clone(context);
    let get = lua.create_function(move |_, name: String| {
        let value = answer(&context, &name, &process);
        let is_loading = context.stage.get() == Stage::Loading;
        let is_known = is_loading || value.is_some() || is_secret(&name) || context.asked.borrow().contains(&name);
        if is_loading {
            context.asked.borrow_mut().insert(name);
        }
        Ok((value, is_known))
    })?;
    natives.raw_set("get", get)?;
    Ok(natives)
}

/// The values given by `--set` are in `context.env` before the script is loaded. The process's own environment is asked on the master
/// and while loading only: elsewhere it may differ from machine to machine.
fn answer(context: &VmContext, name: &str, process: impl Fn(&str) -> Option<String>) -> Option<String> {
    if is_secret(name) {
        return None;
    }
    if let Some(known) = context.env.borrow().get(name) {
        return Some(known.clone());
    }
    if let Some(lane) = &context.lane {
        return lane.plan.env.get(name).cloned();
    }
    // A name that the environment of a process cannot have would make the look-up panic.
    if context.stage.get() != Stage::Loading || name.is_empty() || name.contains(['=', '\0']) {
        return None;
    }
    let value = process(name)?;
    context.env.borrow_mut().insert(name.to_owned(), value.clone());
    Some(value)
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.starts_with("LUNAMOTH_SECRET") || name.starts_with("LUNAMOTH_WEB_TOKEN")
}

#[cfg(test)]
mod tests {
    use super::super::testing::context_at;
    use super::*;

    fn vm(context: &Rc<VmContext>) -> Lua {
        let lua = Lua::new();
        let process = |name: &str| (name != "NOT_SET").then(|| format!("process {name}"));
        let natives = register(&lua, context, process).unwrap();
        let env: mlua::Value = lua.load(include_str!("../../../lua-stdlib/env.lua")).set_name("=env").call(natives).unwrap();
        lua.globals().set("env", env).unwrap();
        lua
    }

    #[test]
    fn the_master_asks_its_environment_while_loading_and_remembers() {
        let context = context_at(Stage::Loading);
        context.env.borrow_mut().insert("GIVEN".into(), "by --set".into());
        vm(&context).load("assert(env('GIVEN') == 'by --set' and env('HOME_DIR', 'x') == 'process HOME_DIR')").exec().unwrap();
        assert_eq!(context.env.borrow().get("HOME_DIR").map(String::as_str), Some("process HOME_DIR"));
        assert_eq!(*context.asked.borrow(), std::collections::BTreeSet::from(["GIVEN", "HOME_DIR"].map(str::to_owned)));
    }

    #[test]
    fn a_name_without_a_value_gives_the_default() {
        vm(&context_at(Stage::Loading))
            .load("assert(env('NOT_SET', 'd') == 'd' and env('NOT_SET') == nil and env('a=b', 1) == 1)")
            .exec()
            .unwrap();
    }

    #[test]
    fn in_a_run_only_what_was_asked_while_loading_is_known() {
        let context = context_at(Stage::Loading);
        context.env.borrow_mut().insert("KNOWN".into(), "yes".into());
        let lua = vm(&context);
        lua.load("env('NOT_SET')").exec().unwrap();
        context.stage.set(Stage::Running);
        lua.load("assert(env('KNOWN') == 'yes' and env('NOT_SET', 'default') == 'default')").exec().unwrap();
        let error = lua.load("env('HOME_DIR', 'default')").set_name("=script").exec().unwrap_err().to_string();
        assert!(error.contains("script:1: env: `HOME_DIR` was not asked for while the script was loaded"), "{error}");
    }

    #[test]
    fn secrets_are_never_told() {
        let context = context_at(Stage::Loading);
        context.env.borrow_mut().insert("LUNAMOTH_SECRET".into(), "hush".into());
        vm(&context)
            .load("for _, name in ipairs { 'LUNAMOTH_SECRET', 'LUNAMOTH_SECRET_FILE', 'LUNAMOTH_WEB_TOKEN', 'LUNAMOTH_WEB_TOKEN_FILE', 'lunamoth_secret' } do
                     assert(env(name) == nil, name)
                   end")
            .exec()
            .unwrap();
    }

    #[test]
    fn a_mistake_is_raised_at_the_callers_line() {
        let error = vm(&context_at(Stage::Loading)).load("env(5)").set_name("=script").exec().unwrap_err().to_string();
        assert!(error.contains("script:1: env: the name must be a string that is not empty, got number"), "{error}");
    }
}
