//! What scripts can call: each file here holds the natives of one `require` name; the public functions around them are in `lua-stdlib`.

pub mod http;
pub mod json;
pub mod random;
pub mod shared;
