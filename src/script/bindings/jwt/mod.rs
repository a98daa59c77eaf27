//! `require "jwt"`: signatures of JSON Web Tokens (RFC 7519, RFC 7518).
//!
//! Owns keys and signatures; what a token says is JSON, which `lua-stdlib/jwt.lua` reads and writes.

use std::cell::RefCell;
use std::rc::Rc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use mlua::{Lua, LuaString, MultiValue, Table, Value};

use super::base64;
use crate::script::context::VmContext;

#[cfg(test)]
mod tests;

/// Registers what `lua-stdlib/jwt.lua` is built on. Each native gives `nil, why` for what it cannot do.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let keys = RefCell::new(Keys::<EncodingKey>::default());
    let sign = lua.create_function(move |lua, (name, key, message): (String, LuaString, LuaString)| {
        base64::given(lua, sign(&mut keys.borrow_mut(), &name, &key.as_bytes(), &message.as_bytes()).map(String::into_bytes))
    })?;
    natives.raw_set("sign", sign)?;
    let keys = RefCell::new(Keys::<DecodingKey>::default());
    let verify = lua.create_function(move |lua, (name, key, message, signature): (String, LuaString, LuaString, LuaString)| {
        let held = verify(&mut keys.borrow_mut(), &name, &key.as_bytes(), &message.as_bytes(), &signature.as_bytes());
        Ok(match held {
            Ok(holds) => MultiValue::from_iter([Value::Boolean(holds)]),
            Err(why) => MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)]),
        })
    })?;
    natives.raw_set("verify", verify)?;
    natives.raw_set("encode", lua.create_function(|lua, text: LuaString| {
        lua.create_string(base64::spelled(&text.as_bytes(), "base64url").expect("the spelling is one of ours"))
    })?)?;
    natives.raw_set("decode", lua.create_function(|lua, text: LuaString| base64::given(lua, base64::decode(&text.as_bytes(), true)))?)?;
    Ok(natives)
}

/// How the keys of an algorithm are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Secret,
    Rsa,
    Curve,
    Edwards,
}

fn algorithm(name: &str) -> Result<(Algorithm, Family), String> {
    Ok(match name {
        "HS256" => (Algorithm::HS256, Family::Secret),
        "HS384" => (Algorithm::HS384, Family::Secret),
        "HS512" => (Algorithm::HS512, Family::Secret),
        "RS256" => (Algorithm::RS256, Family::Rsa),
        "RS384" => (Algorithm::RS384, Family::Rsa),
        "RS512" => (Algorithm::RS512, Family::Rsa),
        "PS256" => (Algorithm::PS256, Family::Rsa),
        "PS384" => (Algorithm::PS384, Family::Rsa),
        "PS512" => (Algorithm::PS512, Family::Rsa),
        "ES256" => (Algorithm::ES256, Family::Curve),
        "ES384" => (Algorithm::ES384, Family::Curve),
        "EdDSA" => (Algorithm::EdDSA, Family::Edwards),
        other => return Err(format!("there is no algorithm `{other}`: there are HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA")),
    })
}

/// Keys that were read from PEM, the oldest leaving first: reading one costs more than signing by a secret.
struct Keys<K> {
    read: Vec<(Family, Vec<u8>, Rc<K>)>,
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Self { read: Vec::new() }
    }
}

impl<K> Keys<K> {
    fn get(&mut self, family: Family, text: &[u8], read: impl FnOnce() -> Result<K, String>) -> Result<Rc<K>, String> {
        if let Some((.., key)) = self.read.iter().find(|(known, pem, _)| *known == family && pem == text) {
            return Ok(Rc::clone(key));
        }
        let key = Rc::new(read()?);
        if self.read.len() >= KEYS_MAX {
            self.read.remove(0);
        }
        self.read.push((family, text.to_vec(), Rc::clone(&key)));
        Ok(key)
    }
}

fn sign(keys: &mut Keys<EncodingKey>, name: &str, key: &[u8], message: &[u8]) -> Result<String, String> {
    let (algorithm, family) = algorithm(name)?;
    let key = keys.get(family, key, || {
        match family {
            Family::Secret => Ok(EncodingKey::from_secret(key)),
            Family::Rsa => EncodingKey::from_rsa_pem(key),
            Family::Curve => EncodingKey::from_ec_pem(key),
            Family::Edwards => EncodingKey::from_ed_pem(key),
        }
        .map_err(|_| format!("{name} signs with a private key in PEM, {}", private_form(family)))
    })?;
    crypto::sign(message, &key, algorithm).map_err(|_| format!("the key does not fit {name}: {}", private_form(family)))
}

fn verify(keys: &mut Keys<DecodingKey>, name: &str, key: &[u8], message: &[u8], signature: &[u8]) -> Result<bool, String> {
    let (algorithm, family) = algorithm(name)?;
    let key = keys.get(family, key, || {
        match family {
            Family::Secret => Ok(DecodingKey::from_secret(key)),
            Family::Rsa => DecodingKey::from_rsa_pem(key),
            Family::Curve => DecodingKey::from_ec_pem(key),
            Family::Edwards => DecodingKey::from_ed_pem(key),
        }
        .map_err(|_| format!("{name} is verified with a public key in PEM (`-----BEGIN PUBLIC KEY-----`)"))
    })?;
    let Ok(signature) = std::str::from_utf8(signature) else { return Ok(false) };
    // A signature that is no Base64 fits no message.
    Ok(crypto::verify(signature, message, &key, algorithm).unwrap_or(false))
}

fn private_form(family: Family) -> &'static str {
    match family {
        Family::Secret => "any text",
        Family::Rsa => "of 2048 to 4096 bits (`-----BEGIN PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE KEY-----`)",
        Family::Curve => "of the algorithm's own curve, in PKCS#8 (`-----BEGIN PRIVATE KEY-----`; `openssl pkcs8 -topk8 -nocrypt` makes one)",
        Family::Edwards => "Ed25519, in PKCS#8 (`-----BEGIN PRIVATE KEY-----`)",
    }
}

/// Of one VM, private and public ones apart.
const KEYS_MAX: usize = 64;
