//! `require "hash"`: digests and message authentication.

use std::rc::Rc;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use mlua::{Lua, LuaString, Table};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::base64::{given, hex, spelled};
use crate::script::context::VmContext;

/// Registers what `lua-stdlib/hash.lua` is built on. Each native gives `nil, why` for an algorithm or a format that there is not.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let digest = lua.create_function(|lua, (name, text, format): (String, LuaString, String)| {
        given(lua, digest(&name, &text.as_bytes()).and_then(|bytes| formatted(&bytes, &format)))
    })?;
    natives.raw_set("digest", digest)?;
    let hmac = lua.create_function(|lua, (name, key, text, format): (String, LuaString, LuaString, String)| {
        given(lua, hmac(&name, &key.as_bytes(), &text.as_bytes()).and_then(|bytes| formatted(&bytes, &format)))
    })?;
    natives.raw_set("hmac", hmac)?;
    natives.raw_set("hex", lua.create_function(|lua, text: LuaString| lua.create_string(hex(&text.as_bytes())))?)?;
    natives.raw_set("unhex", lua.create_function(|lua, text: LuaString| given(lua, unhex(&text.as_bytes())))?)?;
    Ok(natives)
}

fn digest(name: &str, text: &[u8]) -> Result<Vec<u8>, String> {
    Ok(match name {
        "md5" => Md5::digest(text).to_vec(),
        "sha1" => Sha1::digest(text).to_vec(),
        "sha224" => Sha224::digest(text).to_vec(),
        "sha256" => Sha256::digest(text).to_vec(),
        "sha384" => Sha384::digest(text).to_vec(),
        "sha512" => Sha512::digest(text).to_vec(),
        other => return Err(unknown(other)),
    })
}

fn hmac(name: &str, key: &[u8], text: &[u8]) -> Result<Vec<u8>, String> {
    fn code<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Result<Vec<u8>, String> {
        let mut code = <M as KeyInit>::new_from_slice(key).map_err(|error| error.to_string())?;
        code.update(text);
        Ok(code.finalize().into_bytes().to_vec())
    }
    match name {
        "md5" => code::<Hmac<Md5>>(key, text),
        "sha1" => code::<Hmac<Sha1>>(key, text),
        "sha224" => code::<Hmac<Sha224>>(key, text),
        "sha256" => code::<Hmac<Sha256>>(key, text),
        "sha384" => code::<Hmac<Sha384>>(key, text),
        "sha512" => code::<Hmac<Sha512>>(key, text),
        other => Err(unknown(other)),
    }
}

fn unknown(name: &str) -> String {
    format!("there is no `{name}`: there are md5, sha1, sha224, sha256, sha384 and sha512")
}

fn formatted(bytes: &[u8], format: &str) -> Result<Vec<u8>, String> {
    spelled(bytes, format).ok_or_else(|| format!("there is no format `{format}`: there are hex, base64, base64url and raw"))
}

fn unhex(text: &[u8]) -> Result<Vec<u8>, String> {
    if !text.len().is_multiple_of(2) {
        return Err(format!("{} digits are no whole number of bytes", text.len()));
    }
    let digit = |at: usize| char::from(text[at]).to_digit(16).ok_or_else(|| format!("character {} is no hexadecimal digit", at + 1));
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(u8::try_from(digit(at)? * 16 + digit(at + 1)?).expect("two hexadecimal digits are one byte")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judges, raised};

    /// NIST's and RFC 1321's: the empty text, `abc`, the text of two blocks, and a million times `a`.
    #[test]
    fn the_vectors_of_the_standards_are_met() {
        const TWO_BLOCKS: &str = "'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'";
        for (name, text, digest) in [
            ("md5", "''", "d41d8cd98f00b204e9800998ecf8427e"),
            ("md5", "'abc'", "900150983cd24fb0d6963f7d28e17f72"),
            ("md5", "('1234567890'):rep(8)", "57edf4a22be3c955ac49da2e2107b67a"),
            ("sha1", "''", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("sha1", "'abc'", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            ("sha1", TWO_BLOCKS, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
            ("sha1", "('a'):rep(1e6)", "34aa973cd4c4daa4f61eeb2bdbad27316534016f"),
            ("sha224", "'abc'", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            ("sha256", "''", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("sha256", "'abc'", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            ("sha256", TWO_BLOCKS, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
            ("sha384", "'abc'", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"),
            (
                "sha512",
                "'abc'",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            assert_eq!(raised(&format!("assert(hash.{name}({text}) == '{digest}')")), None, "{name} of {text}");
        }
    }

    /// RFC 2202 and RFC 4231: cases 1, 2 and 6 (a key longer than a block).
    #[test]
    fn the_vectors_of_hmac_are_met() {
        for (name, key, text, code) in [
            ("md5", "('\\11'):rep(16)", "'Hi There'", "9294727a3638bb1c13f48ef8158bfc9d"),
            ("sha1", "'Jefe'", "'what do ya want for nothing?'", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            ("sha224", "'Jefe'", "'what do ya want for nothing?'", "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
            ("sha256", "('\\11'):rep(20)", "'Hi There'", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            ("sha256", "'Jefe'", "'what do ya want for nothing?'", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                "sha256",
                "('\\170'):rep(131)",
                "'Test Using Larger Than Block-Size Key - Hash Key First'",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                "sha384",
                "'Jefe'",
                "'what do ya want for nothing?'",
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                "sha512",
                "'Jefe'",
                "'what do ya want for nothing?'",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(raised(&format!("assert(hash.hmac('{name}', {key}, {text}) == '{code}')")), None, "{name}");
        }
    }

    #[test]
    fn formats_are_spellings_of_the_same_bytes() {
        let said = raised(
            "local raw = hash.sha256('abc', 'raw') assert(#raw == 32 and hash.hex(raw) == hash.sha256('abc') and hash.unhex(hash.sha256('abc')) == raw)
             assert(hash.sha256('abc', 'base64') == base64.encode(raw) and hash.sha256('abc', 'base64url') == base64.encode(raw, { url = true }))
             assert(hash.hmac('sha1', 'k', 't', 'base64') == base64.encode(hash.hmac('sha1', 'k', 't', 'raw')))
             assert(hash.unhex('4A4b') == 'JK' and hash.hex('') == '' and hash.md5(17) == hash.md5('17') and hash.md5(0.5) == hash.md5('0.5'))
             local none, why = hash.unhex('4') assert(none == nil and why == '1 digits are no whole number of bytes', why)
             none, why = hash.unhex('4g') assert(none == nil and why == 'character 2 is no hexadecimal digit', why)",
        );
        assert_eq!(said, None);
    }

    #[test]
    fn values_are_taken_or_refused() {
        for name in ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"] {
            judges(&format!("hash.{name}(%)"), &["whole", "fraction", "text"]);
            judges(&format!("hash.{name}('x', %)"), &["nil"]);
        }
        judges("hash.hmac('md5', %, 'x')", &["whole", "fraction", "text"]);
        judges("hash.hmac('md5', 'x', %)", &["whole", "fraction", "text"]);
        judges("hash.hmac(%, 'x', 'x')", &[]);
        judges("hash.hmac('md5', 'x', 'x', %)", &["nil"]);
        judges("hash.hex(%)", &["whole", "fraction", "text"]);
        judges("hash.unhex(%)", &["text"]);
        assert!(raised("hash.hmac('sha3', 'k', 't')").unwrap().contains("test.lua:3: hash.hmac: there is no `sha3`: there are md5"));
        assert!(raised("hash.md5('x', 'HEX')").unwrap().contains("hash.md5: there is no format `HEX`: there are hex, base64"));
        assert!(raised("hash.sha265('x')").unwrap().contains("did you mean `sha256`?"));
        assert!(raised("hash.md5(('x'):rep(2^24 + 1))").unwrap().contains("at most 16 MiB"));
    }
}
