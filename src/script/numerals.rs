//! How Lua spells numbers: whole ones whole, up to 2^53. LuaJIT spells 14 digits, so that an order's number of 15 becomes `1.2345678901235e+14` in a URL.
//!
//! All ways by which LuaJIT makes a text of a number (`..`, `tostring`, `table.concat`, `%s`, compiled code) lead to two functions of its own, and the
//! linker (`build.rs`) leads them here. Numbers with a fraction, and those beyond 2^53, are spelled as ever.

/// Whether this build spells whole numbers whole. Asked once, so that what is below is linked.
pub(super) fn spells_whole_numbers() -> bool {
    #[cfg(spells_whole_numbers)]
    std::hint::black_box(wrapped::__wrap_lj_strfmt_num as *const ());
    cfg!(spells_whole_numbers)
}

/// Whether a number is whole, exact, and has more digits than LuaJIT spells.
#[cfg_attr(not(spells_whole_numbers), expect(dead_code, reason = "asked where LuaJIT's own functions lead here"))]
#[inline]
fn is_long_and_whole(number: f64) -> bool {
    let size = number.abs();
    (1e14..=9_007_199_254_740_992.0).contains(&size) && number.fract() == 0.0
}

#[cfg(spells_whole_numbers)]
mod wrapped {
    use std::ffi::{c_char, c_void};

    use mlua::ffi::lua_State;

    use super::is_long_and_whole;

    unsafe extern "C-unwind" {
        fn __real_lj_strfmt_num(state: *mut lua_State, value: *const f64) -> *mut c_void;
        fn __real_lj_strfmt_putfnum(buffer: *mut c_void, format: u32, number: f64) -> *mut c_void;
        fn lj_str_new(state: *mut lua_State, text: *const c_char, length: usize) -> *mut c_void;
    }

    /// The text of a number as a string of Lua's.
    ///
    /// # Safety
    /// Called by LuaJIT, with a value that is a number. Nothing here has a destructor that an error would skip.
    #[unsafe(no_mangle)]
    pub(super) unsafe extern "C-unwind" fn __wrap_lj_strfmt_num(state: *mut lua_State, value: *const f64) -> *mut c_void {
        // SAFETY: the caller's promise; a number's value is its f64. Lua copies the digits.
        unsafe {
            if !is_long_and_whole(*value) {
                return __real_lj_strfmt_num(state, value);
            }
            let mut digits = [0_u8; DIGITS];
            let first = spell(*value, &mut digits);
            lj_str_new(state, digits.as_ptr().add(first).cast(), DIGITS - first)
        }
    }

    /// Appends the text of a number to a buffer of LuaJIT's.
    ///
    /// # Safety
    /// As above.
    #[unsafe(no_mangle)]
    unsafe extern "C-unwind" fn __wrap_lj_strfmt_putfnum(buffer: *mut c_void, format: u32, number: f64) -> *mut c_void {
        let format = if format == G14 && is_long_and_whole(number) { G16 } else { format };
        // SAFETY: the caller's promise.
        unsafe { __real_lj_strfmt_putfnum(buffer, format, number) }
    }

    /// Writes the digits to the end of `digits`; where they begin.
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 2^53")]
    fn spell(number: f64, digits: &mut [u8; DIGITS]) -> usize {
        let mut left = (number as i64).unsigned_abs();
        let mut first = DIGITS;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
            first -= 1;
            if left == 0 {
                break;
            }
        }
        if number < 0.0
            && let Some(sign) = first.checked_sub(1).and_then(|place| digits.get_mut(place))
        {
            *sign = b'-';
            first -= 1;
        }
        first
    }

    /// A sign and 16 digits.
    const DIGITS: usize = 17;

    /// LuaJIT's `STRFMT_G14` (`lj_strfmt.h`): `%.14g`, in which it spells all numbers; and the same with 16 digits.
    const G14: u32 = 0x0f00_0035;
    const G16: u32 = 0x1100_0035;
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    fn run(code: &str) {
        if !super::spells_whole_numbers() {
            return; // A linker that wraps no functions: numbers are spelled as LuaJIT does.
        }
        Lua::new().load(code).set_name("=script").exec().unwrap();
    }

    #[test]
    fn whole_numbers_print_whole_however_they_become_a_text() {
        run(r#"
            for _, case in ipairs {
              { 123456789012345, "123456789012345" }, { 1e14, "100000000000000" }, { 2^53, "9007199254740992" }, { -2^53, "-9007199254740992" },
              { -123456789012345, "-123456789012345" }, { 99999999999999, "99999999999999" }, { 9007199254740991, "9007199254740991" },
              { 0.1, "0.1" }, { 2^53 + 2, "9.007199254741e+15" }, { 1e14 + 0.5, "1e+14" }, { 1e300, "1e+300" }, { 7, "7" }, { -0.25, "-0.25" },
              { 1 / 0, "inf" }, { -1 / 0, "-inf" },
            } do
              local number, text = case[1], case[2]
              local as_key = ("/x/%s"):format(number)
              assert(tostring(number) == text, tostring(number))
              assert("/x/" .. number == "/x/" .. text, "/x/" .. number)
              assert(number .. "/" == text .. "/")
              assert(as_key == "/x/" .. text, as_key)
              assert(table.concat({ number, "a", number }, ",") == text .. ",a," .. text)
              assert(("x"):rep(1, number) == "x" and (tostring(number)):len() == #text)
              assert(string.gsub("x", "x", number) == text)
            end
            assert("/x/" .. 123456789012345 == "/x/123456789012345", "a constant that is folded")
        "#);
    }

    /// Goal: compiled code spells as the interpreter does. Method: loops that are long enough to be compiled, over numbers around the limits.
    #[test]
    fn compiled_loops_spell_the_same() {
        run(r#"
            local function digits(whole) return ("%d%08d"):format(math.floor(whole / 1e8), whole % 1e8) end
            for _, base in ipairs { 1e14 - 500, 1e15, 2^53 - 2000 } do
              for i = 0, 1000 do
                local number = base + i
                local text, shown = digits(number), "p" .. number .. "q"
                if shown ~= "p" .. text .. "q" then error(shown .. " is not " .. text) end
                if tostring(number) ~= text then error(tostring(number)) end
                if table.concat { number } ~= text then error("concat") end
                if ("%s"):format(number) ~= text then error("format") end
                if number .. 0.5 ~= text .. "0.5" then error("fraction") end
              end
            end
        "#);
    }
}
