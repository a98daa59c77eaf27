//! What scripts can call: each file here holds the natives of one `require` name; the public functions around them are in `lua-stdlib`.

pub mod env;
pub mod http;
pub mod json;
pub mod log;
pub mod metric;
pub mod random;
pub mod regex;
pub mod shared;
pub mod url;

#[cfg(test)]
mod annotations;
#[cfg(test)]
mod testing;
