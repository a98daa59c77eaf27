//! Clients of the tested system. They know nothing of this program: no plan, no statistics, no Lua.

pub mod http;
