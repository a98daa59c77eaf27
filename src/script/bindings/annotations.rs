//! Holds that every public function of `lua-stdlib` is annotated for editors (LuaLS), by reading each file as text and as a module.
//!
//! `lua-stdlib/engine` is private to the program and not looked at.

use std::collections::BTreeSet;
use std::path::PathBuf;

use mlua::{Lua, Table, Value};

/// A function as the text declares it, with the comment lines above it.
#[derive(Debug)]
pub(super) struct Declared {
    /// As in `function random.int(lo, hi)`: `random.int`, with a dot or a colon.
    pub name: String,
    params: Vec<String>,
    gives_values: bool,
    pub comment: Vec<String>,
}

pub(super) fn modules() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lua-stdlib");
    let mut modules = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "lua") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            modules.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    modules.sort();
    assert!(modules.len() >= 8, "{modules:?}");
    modules
}

/// What only catches a surplus argument, so that it is refused: nothing that a script would give.
fn is_surplus(param: &str) -> bool {
    param.starts_with('_')
}

/// The functions that are no locals, at the left margin.
pub(super) fn declared_in(text: &str) -> Vec<Declared> {
    let lines: Vec<&str> = text.lines().collect();
    let mut declared = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((name, rest)) = line.strip_prefix("function ").and_then(|rest| rest.split_once('(')) else { continue };
        if !name.contains(['.', ':']) {
            continue; // The body of a local that was declared above.
        }
        let (params, after) = rest.split_once(')').unwrap();
        let params = params.split(',').map(str::trim).filter(|param| !param.is_empty() && !is_surplus(param)).map(str::to_owned).collect();
        let body: Vec<&str> = if after.trim_end().ends_with("end") {
            vec![after]
        } else {
            lines[at + 1..].iter().take_while(|line| !line.starts_with("end")).copied().collect()
        };
        let mut comment: Vec<String> = lines[..at].iter().rev().map_while(|line| line.strip_prefix("---")).map(str::to_owned).collect();
        comment.reverse();
        declared.push(Declared { name: name.to_owned(), params, gives_values: gives_values(&body), comment });
    }
    declared
}

/// Whether a body returns something, inner functions aside: those are written on one line or indented under a `local function`.
fn gives_values(body: &[&str]) -> bool {
    let mut inside_at = None;
    body.iter().any(|line| {
        let indent = line.len() - line.trim_start().len();
        if let Some(outer) = inside_at {
            if indent <= outer && line.trim_start().starts_with("end") {
                inside_at = None;
            }
            return false;
        }
        if line.contains("function(") || line.trim_start().starts_with("local function") {
            if !line.trim_end().ends_with("end") && !line.contains(" end)") {
                inside_at = Some(indent);
            }
            return false;
        }
        let returned = line.split_once("return ").map(|(_, value)| value.trim());
        returned.is_some_and(|value| !value.is_empty() && !value.starts_with("end") && value != "nil end")
    })
}

fn check(module: &str, function: &Declared) {
    let Declared { name, comment, .. } = function;
    assert!(
        comment.iter().any(|line| !line.trim().is_empty() && !line.starts_with('@')),
        "{module}.lua: `{name}` has no sentence that says what it does"
    );
    for param in &function.params {
        let wanted = [format!("@param {param} "), format!("@param {param}? ")];
        assert!(
            comment.iter().any(|line| wanted.iter().any(|wanted| line.starts_with(wanted))),
            "{module}.lua: `{name}` has no ---@param {param}"
        );
    }
    for line in comment.iter().filter_map(|line| line.strip_prefix("@param ")) {
        let param = line.split(' ').next().unwrap_or_default().trim_end_matches('?');
        assert!(function.params.iter().any(|known| known == param), "{module}.lua: `{name}` has no parameter `{param}`");
    }
    if function.gives_values {
        assert!(comment.iter().any(|line| line.starts_with("@return ")), "{module}.lua: `{name}` has no ---@return");
    }
}

/// The module's value over natives of cardboard: whatever is asked for is a callable table.
fn load(lua: &Lua, name: &str, text: &str) -> Value {
    let cardboard = "local mock = {}
                     function require() return mock end
                     setmetatable(mock, { __index = function() return mock end, __call = function() return mock end })
                     return setmetatable({}, getmetatable(mock)), setmetatable({}, getmetatable(mock))";
    let (native, engine): (Table, Table) = lua.load(cardboard).eval().unwrap();
    lua.load(text).set_name(format!("={name}")).call((native, engine)).unwrap()
}

#[test]
fn every_public_function_says_what_it_does_takes_and_gives() {
    for (module, text) in modules() {
        for function in declared_in(&text) {
            // The engine's own entries are reached by no script.
            if !function.name.starts_with("engine.") && !function.name.starts_with("native.") {
                check(&module, &function);
            }
        }
    }
}

#[test]
fn whatever_a_module_gives_is_in_its_text() {
    let lua = Lua::new();
    for (name, text) in modules() {
        let Value::Table(module) = load(&lua, &name, &text) else { panic!("{name}.lua gives no table") };
        let declared: BTreeSet<String> =
            declared_in(&text).into_iter().filter_map(|function| function.name.split_once('.').map(|(_, name)| name.to_owned())).collect();
        let fields: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("---@field "))
            .filter_map(|line| line.split(' ').next())
            .map(|field| field.trim_end_matches('?'))
            .collect();
        for pair in module.pairs::<String, Value>() {
            let (key, _) = pair.unwrap();
            assert!(
                declared.contains(&key) || fields.contains(key.as_str()),
                "{name}.lua: `{key}` is neither a function with annotations nor a ---@field"
            );
        }
        let is_callable = module.metatable().is_some_and(|meta| meta.contains_key("__call").unwrap());
        assert!(!is_callable || text.contains("---@overload fun("), "{name}.lua can be called and has no ---@overload");
    }
}

#[test]
fn editors_find_each_module_by_its_name() {
    for (name, text) in modules() {
        let first = text.lines().next().unwrap_or_default();
        // `---@meta _` would hide the file from `require`.
        assert!(first == format!("---@meta {name}") || first == "---@meta", "{name}.lua begins with `{first}`, not `---@meta {name}`");
        assert!(text.contains("---@class "), "{name}.lua has no ---@class for its module");
    }
}

#[test]
fn a_missing_annotation_is_found() {
    let text = "---Adds.\n---@param a number\nfunction m.add(a, b)\n  return a + b\nend\n";
    let function = &declared_in(text)[0];
    assert_eq!((function.name.as_str(), function.params.len(), function.gives_values), ("m.add", 2, true));
    let complaint = std::panic::catch_unwind(|| check("m", &declared_in(text)[0])).unwrap_err();
    assert!(complaint.downcast_ref::<String>().unwrap().contains("has no ---@param b"));
}
