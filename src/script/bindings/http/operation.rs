//! A call as it crosses from Lua to Rust and back: owned values only, so that nothing of Lua is held across an await.

/// One request, or a batch of them.
#[derive(Debug)]
pub struct Call {}

impl Call {
    /// From the values that the coroutine yielded after the operation's code.
    ///
    /// # Errors
    /// The caller's mistake, as a text; it is raised at the caller's line.
    pub fn from_lua(_lua: &mlua::Lua, _values: mlua::MultiValue) -> Result<Self, String> {
        todo!()
    }
}

/// What the coroutine is resumed with.
#[derive(Debug)]
pub struct Reply {}

impl Reply {
    /// Plain values: numbers and short strings. Body and headers stay behind until the script asks.
    ///
    /// # Errors
    /// Lua is out of memory.
    pub fn into_lua(self, _lua: &mlua::Lua) -> mlua::Result<mlua::MultiValue> {
        todo!()
    }
}
