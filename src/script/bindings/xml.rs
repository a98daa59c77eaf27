//! `require "xml"`: an XML text as Lua tables.
//!
//! The text becomes tables of the VM, so that its memory limit counts them. Paths are walked in `lua-stdlib/xml.lua`.

use std::rc::Rc;

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::script::context::VmContext;
use crate::script::watchdog;

/// Registers what `lua-stdlib/xml.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let parse = lua.create_function(|lua, (text, class): (LuaString, Table)| {
        let bytes = text.as_bytes();
        let parsed = match std::str::from_utf8(&bytes) {
            Ok(text) => Document { lua, class, open: Vec::new(), root: None }.read(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(error) => Err(format!("byte {} is no UTF-8", error.valid_up_to() + 1)),
        };
        Ok(match parsed {
            Ok(root) => MultiValue::from_iter([Value::Table(root)]),
            Err(why) => MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)]),
        })
    })?;
    natives.raw_set("parse", parse)?;
    Ok(natives)
}

/// A document while it is read.
struct Document<'lua> {
    lua: &'lua Lua,
    /// The metatable of elements.
    class: Table,
    open: Vec<OpenElement>,
    root: Option<Table>,
}

struct OpenElement {
    name: String,
    table: Table,
    text: String,
    children: usize,
}

impl Document<'_> {
    fn read(mut self, text: &str) -> Result<Table, String> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        loop {
            let event = reader.read_event();
            let place = || place_of(text, usize::try_from(reader.error_position().max(reader.buffer_position())).unwrap_or(usize::MAX));
            let event = event.map_err(|error| format!("{}: {error}", place()))?;
            if watchdog::is_struck() {
                return Err("it takes too long".to_owned());
            }
            let is_end = matches!(event, Event::Eof);
            self.on(event).map_err(|why| format!("{}: {why}", place()))?;
            if is_end {
                return self.root.ok_or_else(|| "there is no element in it".to_owned());
            }
        }
    }

    fn on(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Start(start) => self.begin(&start),
            Event::Empty(start) => {
                self.begin(&start)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    return self.text(character.encode_utf8(&mut [0; 4]));
                }
                let name = reference.xml10_content();
                let known = resolve_predefined_entity(&name).ok_or_else(|| format!("the entity `&{name};` is none of XML's own"))?;
                self.text(known)
            }
            Event::Eof => match self.open.last() {
                Some(open) => Err(format!("`<{}>` has no end", open.name)),
                None => Ok(()),
            },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Ok(()),
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) -> Result<(), String> {
        if self.open.is_empty() && self.root.is_some() {
            return Err("there is a second root element".to_owned());
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("elements are nested deeper than {DEPTH_MAX} levels"));
        }
        let name = start.name().0.to_owned();
        let (table, attributes) = (created(self.lua.create_table())?, created(self.lua.create_table())?);
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let key = attribute.key.0;
            if created(attributes.contains_key(key))? {
                return Err(format!("`<{name}>` has the attribute `{key}` twice"));
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|error| error.to_string())?;
            created(attributes.raw_set(key, &*value))?;
        }
        created(table.raw_set("name", &*name))?;
        created(table.raw_set("attributes", attributes))?;
        created(table.set_metatable(Some(self.class.clone())))?;
        self.open.push(OpenElement { name, table, text: String::new(), children: 0 });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let element = self.open.pop().ok_or("an end without a beginning")?;
        // Between elements, white space is layout.
        let text = if element.children > 0 { element.text.trim() } else { &element.text };
        created(element.table.raw_set("text", text))?;
        match self.open.last_mut() {
            None => self.root = Some(element.table),
            Some(parent) => {
                parent.children += 1;
                created(parent.table.raw_set(parent.children, element.table))?;
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err("there is text outside of the root element".to_owned()),
        }
        Ok(())
    }
}

fn created<T>(result: mlua::Result<T>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Line and column of a byte.
fn place_of(text: &str, at: usize) -> String {
    let before = &text.as_bytes()[..at.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("line {line}, column {column}")
}

/// Elements within each other.
const DEPTH_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::super::testing::{judges, raised};

    const ORDER: &str = r#"local order = xml.parse [=[<?xml version="1.0"?>
<!DOCTYPE order>
<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/">
  <soap:Body><!-- who -->
    <order id="7" note="a &lt; b &#x263A;">
      <item sku="A1"><name>Lamp &amp; Shade</name><price currency="EUR">12.50</price></item>
      <item sku="B2"><name><![CDATA[<Moth>]]></name><price currency="USD">3</price></item>
      <empty/>
    </order>
  </soap:Body>
</soap:Envelope>]=]
"#;

    #[test]
    fn values_are_found_by_path() {
        let said = raised(&format!(
            r#"{ORDER}
            assert(order.name == "soap:Envelope" and #order == 1 and order[1].name == "soap:Body")
            assert(order:get("Body/order/@id") == "7" and order:get("soap:Body/order/@note") == "a < b ☺")
            assert(order:get("/Envelope/Body/order/item/name") == "Lamp & Shade" and order:get("//item[2]/name") == "<Moth>")
            assert(order:get("//item[@sku='B2']/price") == "3" and order:get("//item[name='<Moth>']/@sku") == "B2" and order:get("//price[@currency]") == "12.50")
            assert(order:get("//nothing") == nil and order:get("order") == nil and order:get("//empty") == "" and order:get("other:Body/order/@id") == nil)
            assert(table.concat(order:all("//item/@sku"), ",") == "A1,B2" and table.concat(order:all("//price"), ",") == "12.50,3" and #order:all("//x") == 0)
            assert(table.concat(order:all("Body/order/*/name"), ",") == "Lamp & Shade,<Moth>")
            local item = order:find("//item[2]") assert(item.name == "item" and item.attributes.sku == "B2" and item:get("price") == "3" and item:get("name/text()") == "<Moth>")
            assert(#order:elements("//item") == 2 and order:find("//nope") == nil and order:find("//order").text == "" and item[1].text == "<Moth>")
            assert(xml.parse("<a>x<b/>y</a>").text == "xy" and xml.parse("<a> x </a>").text == " x ")"#
        ));
        assert_eq!(said, None);
    }

    #[test]
    fn what_is_no_xml_is_nil_and_why_with_its_place() {
        for (text, why) in [
            ("", "there is no element in it"),
            ("just text", "text outside of the root element"),
            ("<a>\n<b></a>", "line 2, column "),
            ("<a>", "`<a>` has no end"),
            ("<a/><b/>", "there is a second root element"),
            ("<a x='1' x='2'/>", "has the attribute `x` twice"),
            ("<a>&nbsp;</a>", "the entity `&nbsp;` is none of XML's own"),
            ("<a x=1/>", "line 1, column "),
            ("<!DOCTYPE d [<!ENTITY a 'aaaa'>]><d>&a;</d>", "the entity `&a;`"),
        ] {
            let said = raised(&format!("local none, why = xml.parse([==[{text}]==]) assert(none == nil) error(why, 0)")).unwrap();
            assert!(said.contains(why), "{text}: {said}");
        }
        let said = raised("local none, why = xml.parse(('<a>'):rep(300)) assert(none == nil) error(why, 0)").unwrap();
        assert!(said.contains("nested deeper than 256 levels"), "{said}");
        let said = raised("local none, why = xml.parse('<a>\\255</a>') assert(none == nil) error(why, 0)").unwrap();
        assert!(said.contains("byte 4 is no UTF-8"), "{said}");
    }

    #[test]
    fn values_are_taken_or_refused() {
        judges("xml.parse(%)", &["text"]);
        for method in ["get", "all", "find", "elements"] {
            judges(&format!("xml.parse('<a/>'):{method}(%)"), &["text"]);
        }
        for (code, why) in [
            ("xml.parse('<a/>'):get('')", "the path is empty"),
            ("xml.parse('<a/>'):get('a[')", "`[` has no end"),
            ("xml.parse('<a/>'):get('a[0]')", "positions count from 1"),
            ("xml.parse('<a/>'):get('@a/b')", "an attribute is the last step"),
            ("xml.parse('<a/>'):find('a/@b')", "a path to elements"),
            ("xml.parse('<a/>'):find('a[')", "element:find: `a[`: `[` has no end"),
            ("xml.parse('<a/>'):elements('a//')", "element:elements: `a//`: it ends with a slash"),
            ("xml.parse('<a/>'):get('a//')", "ends with a slash"),
            ("xml.parse('<a/>'):get('a[b=c]')", "cannot read `[b=c]`"),
            ("xml.parse(('x'):rep(2^23 + 1))", "at most 8 MiB"),
            ("xml.parse('<a/>'):gte('b')", "did you mean `get`?"),
        ] {
            let said = raised(code).unwrap();
            assert!(said.starts_with("test.lua:3: ") && said.contains(why), "{code}: {said}");
        }
    }
}
