//! `require "base64"`, and the spellings of bytes that `hash` gives.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, general_purpose};
use mlua::{Lua, LuaString, MultiValue, Table, Value};

use crate::script::context::VmContext;

/// Registers what `lua-stdlib/base64.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let encode = lua.create_function(|lua, (text, is_url, is_padded): (LuaString, bool, bool)| {
        let engine = match (is_url, is_padded) {
            (false, true) => &STANDARD,
            (false, false) => &general_purpose::STANDARD_NO_PAD,
            (true, true) => &URL_SAFE,
            (true, false) => &URL_SAFE_NO_PAD,
        };
        lua.create_string(engine.encode(text.as_bytes()))
    })?;
    natives.raw_set("encode", encode)?;
    let decode = lua.create_function(|lua, (text, is_url): (LuaString, bool)| given(lua, decode(&text.as_bytes(), is_url)))?;
    natives.raw_set("decode", decode)?;
    Ok(natives)
}

/// The bytes of a Base64 text, padded or not.
///
/// # Errors
/// What is wrong with the text, and where.
pub(super) fn decode(text: &[u8], is_url: bool) -> Result<Vec<u8>, String> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if is_url { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
    GeneralPurpose::new(alphabet, config).decode(text).map_err(|error| match error {
        base64::DecodeError::InvalidByte(at, byte) => {
            format!("byte {} ({:?}) is none of {}", at + 1, char::from(byte), if is_url { "the URL alphabet" } else { "the alphabet" })
        }
        base64::DecodeError::InvalidLength(length) => format!("{length} characters are no whole number of bytes"),
        base64::DecodeError::InvalidLastSymbol(at, _) => format!("character {} has bits that belong to no byte", at + 1),
        base64::DecodeError::InvalidPadding => "the padding is wrong".to_owned(),
    })
}

/// Bytes in the spelling called `format`: `hex`, `base64`, `base64url` or `raw`. `None` for another name.
pub(super) fn spelled(bytes: &[u8], format: &str) -> Option<Vec<u8>> {
    Some(match format {
        "hex" => hex(bytes),
        "base64" => STANDARD.encode(bytes).into_bytes(),
        "base64url" => URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
        "raw" => bytes.to_vec(),
        _ => return None,
    })
}

/// Two lower-case digits a byte.
pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

/// A text, or nil and why there is none.
pub(super) fn given(lua: &Lua, bytes: Result<Vec<u8>, String>) -> mlua::Result<MultiValue> {
    Ok(match bytes {
        Ok(bytes) => MultiValue::from_iter([Value::String(lua.create_string(bytes)?)]),
        Err(why) => MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)]),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judges, raised};

    #[test]
    fn the_vectors_of_rfc_4648_are_given_and_taken() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy")]
        {
            let bare = coded.trim_end_matches('=');
            let said = raised(&format!(
                "assert(base64.encode('{plain}') == '{coded}' and base64.decode('{coded}') == '{plain}')
                 assert(base64.decode('{bare}') == '{plain}' and base64.encode('{plain}', {{ padding = false }}) == '{bare}')
                 assert(base64.encode('{plain}', {{ url = true }}) == '{bare}' and base64.decode('{bare}', {{ url = true }}) == '{plain}')
                 assert(base64.encode('{plain}', {{ url = true, padding = true }}) == '{coded}')"
            ));
            assert_eq!(said, None, "{plain}");
        }
    }

    #[test]
    fn all_bytes_go_through_and_the_alphabets_are_kept_apart() {
        let said = raised(
            "local all = {} for byte = 0, 255 do all[#all + 1] = string.char(byte) end all = table.concat(all)
             assert(base64.decode(base64.encode(all)) == all and base64.decode(base64.encode(all, { url = true }), { url = true }) == all)
             assert(base64.encode('\\251\\255') == '+/8=' and base64.encode('\\251\\255', { url = true }) == '-_8')
             local none, why = base64.decode('-_8') assert(none == nil and why:find('byte 1', 1, true), why)
             none, why = base64.decode('Zm9v!') assert(none == nil and why:find(\"'!'\", 1, true), why)
             none, why = base64.decode('Z') assert(none == nil and why:find('1 characters', 1, true), why)
             none, why = base64.decode('Zm9=v') assert(none == nil and why)
             none, why = base64.decode('Zh==') assert(none == nil and why)",
        );
        assert_eq!(said, None);
    }

    #[test]
    fn values_are_taken_or_refused() {
        judges("base64.encode(%)", &["whole", "fraction", "text"]);
        judges("base64.encode('x', { url = % })", &["boolean", "nil"]);
        judges("base64.encode('x', { padding = % })", &["boolean", "nil"]);
        judges("base64.encode('x', %)", &["table", "nil"]);
        judges("base64.decode(%)", &["text"]);
        judges("base64.decode('', { url = % })", &["boolean", "nil"]);
        judges("base64.decode('', %)", &["table", "nil"]);
        assert!(raised("base64.encode('x', { urlsafe = true })").unwrap().contains("has no `urlsafe`"));
    }
}
