//! `require "html"`: a page of an answer, read as browsers read it.
//!
//! `page` reads and searches it, `form` says what a form's fields are; here are the natives. What a form sends is put together in
//! `lua-stdlib/html.lua`.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{AnyUserData, Lua, LuaString, MultiValue, Table, Value};
use scraper::Selector;

use self::form::{Field, fields_of, form_around};
use self::page::Page;
use super::base64::given;
use super::http::body_handle::Outside;
use crate::script::context::VmContext;

mod form;
mod page;
#[cfg(test)]
mod tests;

/// A page that Lua holds. Elements are numbered in the order of the document.
struct PageHandle {
    page: Page,
    /// Taken out of both accounts with the page.
    _outside: Outside,
    _share: Share,
}

impl mlua::UserData for PageHandle {}

/// What one page takes of what the pages of a VM may.
struct Share {
    all: Rc<RefCell<usize>>,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        *self.all.borrow_mut() -= self.bytes;
    }
}

/// Selectors that were read, the oldest leaving first.
#[derive(Default)]
struct Selectors {
    read: Vec<(Vec<u8>, Rc<Selector>)>,
}

impl Selectors {
    fn get(&mut self, css: &[u8]) -> Result<Rc<Selector>, String> {
        if let Some((_, selector)) = self.read.iter().find(|(text, _)| text == css) {
            return Ok(Rc::clone(selector));
        }
        let text = std::str::from_utf8(css).map_err(|_| "the selector is no UTF-8".to_owned())?;
        let selector = Selector::parse(text).map_err(|error| format!("`{text}` is no CSS selector: {error}"))?;
        let selector = Rc::new(selector);
        if self.read.len() >= SELECTORS_MAX {
            self.read.remove(0);
        }
        self.read.push((css.to_vec(), Rc::clone(&selector)));
        Ok(selector)
    }
}

/// Registers what `lua-stdlib/html.lua` is built on. Each native gives `nil, why` for what it cannot do.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let all = Rc::new(RefCell::new(0));
    natives.raw_set("parse", lua.create_function(move |lua, text: LuaString| parse(lua, &all, &text))?)?;
    let selectors = RefCell::new(Selectors::default());
    let select = lua.create_function(move |lua, (handle, from, css, is_first): (AnyUserData, Option<usize>, LuaString, bool)| {
        let found = selectors.borrow_mut().get(&css.as_bytes()).and_then(|selector| {
            let handle = handle.borrow::<PageHandle>().map_err(|error| error.to_string())?;
            handle.page.select(from, &selector, is_first)
        });
        Ok(match found {
            Ok(numbers) => MultiValue::from_iter([Value::Table(lua.create_sequence_from(numbers)?)]),
            Err(why) => MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)]),
        })
    })?;
    natives.raw_set("select", select)?;
    let name = lua.create_function(|lua, (handle, number): (AnyUserData, usize)| {
        lua.create_string(handle.borrow::<PageHandle>()?.page.name(number).unwrap_or_default())
    })?;
    natives.raw_set("name", name)?;
    let attribute = lua.create_function(|lua, (handle, number, name): (AnyUserData, usize, LuaString)| {
        let handle = handle.borrow::<PageHandle>()?;
        handle.page.attribute(number, &name.to_string_lossy()).map(|value| lua.create_string(value)).transpose()
    })?;
    natives.raw_set("attribute", attribute)?;
    let text = lua.create_function(|lua, (handle, number): (AnyUserData, Option<usize>)| {
        lua.create_string(handle.borrow::<PageHandle>()?.page.text(number))
    })?;
    natives.raw_set("text", text)?;
    let markup = lua.create_function(|lua, (handle, number): (AnyUserData, Option<usize>)| {
        lua.create_string(handle.borrow::<PageHandle>()?.page.markup(number))
    })?;
    natives.raw_set("markup", markup)?;
    let fields = lua.create_function(|lua, (handle, number): (AnyUserData, usize)| {
        Ok(match fields_of(&handle.borrow::<PageHandle>()?.page, number) {
            Ok(fields) => {
                let list = lua.create_table()?;
                for (at, field) in fields.iter().enumerate() {
                    list.raw_set(at + 1, table_of(lua, field)?)?;
                }
                MultiValue::from_iter([Value::Table(list)])
            }
            Err(why) => MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)]),
        })
    })?;
    natives.raw_set("fields", fields)?;
    let form = lua.create_function(|_, (handle, number): (AnyUserData, usize)| Ok(form_around(&handle.borrow::<PageHandle>()?.page, number)))?;
    natives.raw_set("form", form)?;
    add_addresses(lua, &natives)?;
    Ok(natives)
}

/// Where `reference` leads from `base`, which on a page without an address may be a path: then it is one itself.
fn joined(base: &str, reference: &str) -> Result<String, url::ParseError> {
    match url::Url::parse(base) {
        Ok(base) => base.join(reference).map(String::from),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            let nowhere = url::Url::parse("http://nowhere.invalid/")?;
            let joined = nowhere.join(base)?.join(reference)?;
            Ok(if joined.origin() == nowhere.origin() { joined[url::Position::BeforePath..].to_owned() } else { joined.into() })
        }
        Err(why) => Err(why),
    }
}

fn add_addresses(lua: &Lua, natives: &Table) -> mlua::Result<()> {
    let join = lua.create_function(|lua, (base, reference): (LuaString, LuaString)| {
        given(lua, joined(&base.to_string_lossy(), &reference.to_string_lossy()).map(String::into_bytes).map_err(|error| error.to_string()))
    })?;
    natives.raw_set("join", join)?;
    // Names and values in turn, as `application/x-www-form-urlencoded`.
    let encode = lua.create_function(|lua, parts: Table| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let count = parts.raw_len();
        for at in (1..=count).step_by(2) {
            let (name, value): (LuaString, LuaString) = (parts.raw_get(at)?, parts.raw_get(at + 1)?);
            query.append_pair(&name.to_string_lossy(), &value.to_string_lossy());
        }
        lua.create_string(query.finish())
    })?;
    natives.raw_set("encode", encode)?;
    // What a browser's `Referer` and `Origin` are for a request to `to` from the page `from`, by its default policy.
    let origins = lua.create_function(|lua, (from, to): (LuaString, LuaString)| {
        let (from, to) = (url::Url::parse(&from.to_string_lossy()), url::Url::parse(&to.to_string_lossy()));
        let (Ok(mut from), Ok(to)) = (from, to) else { return Ok((None, None)) };
        let origin = from.origin().ascii_serialization();
        if from.scheme() == "https" && to.scheme() == "http" {
            return Ok((None, Some(lua.create_string("null")?)));
        }
        let referer = if from.origin() == to.origin() {
            from.set_fragment(None);
            // A URL that can have no credentials has none.
            let _ = from.set_username("").and_then(|()| from.set_password(None));
            from.to_string()
        } else {
            format!("{origin}/")
        };
        Ok((Some(lua.create_string(referer)?), Some(lua.create_string(origin)?)))
    })?;
    natives.raw_set("origins", origins)
}

fn parse(lua: &Lua, all: &Rc<RefCell<usize>>, text: &LuaString) -> mlua::Result<MultiValue> {
    let refusal = |why: &str| Ok(MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)]));
    let Some(page) = Page::read(&text.to_string_lossy()) else { return refusal("it takes too long") };
    let bytes = page.bytes();
    if *all.borrow() + bytes > PAGES_BYTES_MAX {
        // Most of them may be held by nobody.
        lua.gc_collect()?;
        lua.gc_collect()?;
        if *all.borrow() + bytes > PAGES_BYTES_MAX {
            return refusal("the pages that scripts hold take too much memory: keep what you need of a page, not the page");
        }
    }
    *all.borrow_mut() += bytes;
    let share = Share { all: Rc::clone(all), bytes };
    let handle = PageHandle { page, _outside: Outside::hold(lua, bytes)?, _share: share };
    Ok(MultiValue::from_iter([Value::UserData(lua.create_userdata(handle)?)]))
}

fn table_of(lua: &Lua, field: &Field) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("kind", field.kind)?;
    table.raw_set("name", field.name.as_str())?;
    table.raw_set("value", field.value.as_str())?;
    table.raw_set("is_checked", field.is_checked)?;
    table.raw_set("is_disabled", field.is_disabled)?;
    table.raw_set("is_multiple", field.is_multiple)?;
    table.raw_set("number", field.number)?;
    if field.kind == "select" {
        let options = lua.create_table()?;
        for (at, option) in field.options.iter().enumerate() {
            let entry = lua.create_table()?;
            entry.raw_set("value", option.value.as_str())?;
            entry.raw_set("is_selected", option.is_selected)?;
            entry.raw_set("is_disabled", option.is_disabled)?;
            options.raw_set(at + 1, entry)?;
        }
        table.raw_set("options", options)?;
    }
    Ok(table)
}

/// Selectors that one VM keeps.
const SELECTORS_MAX: usize = 64;

/// What the pages of one VM may take together.
const PAGES_BYTES_MAX: usize = 256 << 20;
