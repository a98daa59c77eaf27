//! `require "random"` and `math.random`: the user's seeded generator.
//!
//! The stream of its numbers is `chance`'s; it is fixed by a test here, so that a run can be repeated with a later version.

use std::rc::Rc;

use mlua::{Function, Lua, Table};

use crate::script::chance::Generator;
use crate::script::context::{Stage, VmContext};

mod people;

/// Registers what `lua-stdlib/random.lua` is built on. Each native gives `nil, why` where there is no generator.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    natives_over(lua, &CurrentUser(Rc::clone(context)))
}

/// A function to put in the place of `math.random`: the same arguments, the user's own generator.
///
/// # Errors
/// Lua is out of memory.
pub fn math_random(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Function> {
    math_random_over(lua, CurrentUser(Rc::clone(context)))
}

/// Answers with the generator of the user that runs, for other libraries; or why there is none.
pub(super) fn of_user<R>(context: &Rc<VmContext>, use_it: impl FnOnce(&mut Generator) -> R) -> Result<R, &'static str> {
    CurrentUser(Rc::clone(context)).with(use_it)
}

/// Where the natives find their generator.
trait Source: Clone + 'static {
    /// Answers with the generator, or why there is none.
    fn with<R>(&self, use_it: impl FnOnce(&mut Generator) -> R) -> Result<R, &'static str>;
}

/// The generator of the user whose coroutine runs.
#[derive(Clone)]
struct CurrentUser(Rc<VmContext>);

impl Source for CurrentUser {
    #[inline]
    fn with<R>(&self, use_it: impl FnOnce(&mut Generator) -> R) -> Result<R, &'static str> {
        if self.0.stage.get() == Stage::Loading {
            return Err(AT_LOAD);
        }
        match &*self.0.current.borrow() {
            Some(user) => Ok(use_it(&mut user.random.borrow_mut())),
            None => Err(NO_USER),
        }
    }
}

fn natives_over<S: Source>(lua: &Lua, source: &S) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let from = source.clone();
    natives.raw_set("unit", lua.create_function(move |_, ()| Ok(number_or_why(from.with(Generator::unit))))?)?;
    let from = source.clone();
    natives.raw_set(
        "int",
        lua.create_function(move |_, (lo, hi): (f64, f64)| Ok(number_or_why(from.with(|random| whole_between(random, lo, hi)))))?,
    )?;
    let from = source.clone();
    let text = lua.create_function(move |lua, (length, alphabet): (usize, mlua::LuaString)| {
        match from.with(|random| text_of(random, length, &alphabet.as_bytes())) {
            Ok(text) => Ok((Some(lua.create_string(text)?), None)),
            Err(why) => Ok((None, Some(why))),
        }
    })?;
    natives.raw_set("text", text)?;
    let from = source.clone();
    let person = lua.create_function(move |lua, what: String| match from.with(|random| people::made_up(random, &what)) {
        Ok(Some(text)) => Ok((Some(lua.create_string(text)?), None)),
        Ok(None) => Err(mlua::Error::runtime(format!("nothing is made up for `{what}`"))),
        Err(why) => Ok((None, Some(why))),
    })?;
    natives.raw_set("made_up", person)?;
    Ok(natives)
}

fn math_random_over<S: Source>(lua: &Lua, source: S) -> mlua::Result<Function> {
    let native = lua.create_function(move |_, (lo, hi): (Option<f64>, Option<f64>)| {
        Ok(number_or_why(source.with(|random| match (lo, hi) {
            (None, _) => random.unit(),
            (Some(hi), None) => number_in_steps(random, 1.0, hi),
            (Some(lo), Some(hi)) => number_in_steps(random, lo, hi),
        })))
    })?;
    lua.load(MATH_RANDOM).set_name("=[lunamoth math.random]").call(native)
}

fn number_or_why(number: Result<f64, &'static str>) -> (Option<f64>, Option<&'static str>) {
    match number {
        Ok(number) => (Some(number), None),
        Err(why) => (None, Some(why)),
    }
}

/// `math.random(lo, hi)`: whole limits give whole numbers without bias; others are stepped through from `lo`, as LuaJIT does.
fn number_in_steps(random: &mut Generator, lo: f64, hi: f64) -> f64 {
    if lo.fract() == 0.0 && hi.fract() == 0.0 && lo.abs() <= WHOLE_MAX && hi.abs() <= WHOLE_MAX {
        return whole_between(random, lo, hi);
    }
    (random.unit() * (hi - lo + 1.0)).floor() + lo
}

/// Both limits are whole and within 2^53: `random.lua` and [`number_in_steps`] see to it.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "whole numbers within 2^53 survive both ways")]
fn whole_between(random: &mut Generator, lo: f64, hi: f64) -> f64 {
    random.int(lo as i64, hi as i64) as f64
}

/// `length` characters of `alphabet`, which is taken as characters where it is UTF-8 and as bytes where it is not.
fn text_of(random: &mut Generator, length: usize, alphabet: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(length);
    match std::str::from_utf8(alphabet) {
        Ok(letters) if !letters.is_ascii() => {
            let letters: Vec<char> = letters.chars().collect();
            for _ in 0..length {
                let letter = letters[random.index_below(letters.len())];
                text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        _ if alphabet.is_empty() => {}
        _ => text.extend((0..length).map(|_| alphabet[random.index_below(alphabet.len())])),
    }
    text
}

const AT_LOAD: &str = "random numbers are not available while the script is loaded, because every machine must read it alike: \
                       draw them in a task or in on_start";
const NO_USER: &str = "random numbers belong to a user: draw them in a task, on_start or on_stop";

/// Beyond 2^53 not every whole number is an f64.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Arguments are judged in Lua, where an error can name the caller's line.
const MATH_RANDOM: &str = r##"
local native = ...
local error, select, tonumber, type = error, select, tonumber, type
local function limit(position, value)
  local number = tonumber(value)
  if not number then
    error("bad argument #" .. position .. " to 'random' (number expected, got " .. (value == nil and "no value" or type(value)) .. ")", 3)
  end
  return number
end
return function(...)
  local count, lo, hi = select("#", ...), ...
  if count > 0 then
    lo = limit(1, lo)
    if count > 1 then
      hi = limit(2, hi)
      if lo > hi then error("bad argument #2 to 'random' (interval is empty)", 2) end
    else
      hi = nil
      if lo < 1 then error("bad argument #1 to 'random' (interval is empty)", 2) end
    end
  end
  local number, why = native(lo, hi)
  if not number then error(why, 2) end
  return number
end
"##;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Clone)]
    struct Fixed(Rc<RefCell<Option<Generator>>>);

    impl Source for Fixed {
        fn with<R>(&self, use_it: impl FnOnce(&mut Generator) -> R) -> Result<R, &'static str> {
            self.0.borrow_mut().as_mut().map(use_it).ok_or(AT_LOAD)
        }
    }

    fn vm(generator: Option<Generator>) -> Lua {
        let lua = Lua::new();
        let source = Fixed(Rc::new(RefCell::new(generator)));
        let natives = natives_over(&lua, &source).unwrap();
        let module: Table = lua.load(include_str!("../../../lua-stdlib/random.lua")).set_name("=random").call(natives).unwrap();
        lua.globals().set("random", module).unwrap();
        lua.globals().set("native_random", math_random_over(&lua, source).unwrap()).unwrap();
        lua
    }

    fn run(code: &str) {
        vm(Some(Generator::new(1, 2, 3))).load(code).set_name("=script").exec().unwrap();
    }

    fn fails(code: &str) -> String {
        vm(Some(Generator::new(1, 2, 3))).load(code).set_name("=script").exec().unwrap_err().to_string()
    }

    #[test]
    fn the_stream_of_an_iteration_never_changes() {
        let mut random = Generator::new(42, 7, 1);
        assert_eq!(std::array::from_fn(|_| random.bits()), GOLDEN_BITS);
        assert_eq!(std::array::from_fn(|_| random.int(1, 100)), GOLDEN_INTS);
        random.reseed(42, 7, 1);
        assert_eq!(random.bits(), GOLDEN_BITS[0]);
    }

    // Computed apart from this code, in Python, from the published constants of splitmix64 and PCG XSL 128/64 (MCG).
    const GOLDEN_BITS: [u64; 4] =
        [14_463_111_634_757_395_837, 16_580_586_176_170_269_464, 1_256_275_509_055_039_581, 11_867_149_199_495_091_862];
    const GOLDEN_INTS: [i64; 8] = [94, 27, 91, 38, 84, 53, 81, 41];

    #[test]
    fn neighbours_in_seed_index_and_iteration_have_streams_of_their_own() {
        let mut first: Vec<u64> = Vec::new();
        for seed in 0..20 {
            for index in 0..20 {
                for iteration in 0..20 {
                    first.push(Generator::new(seed, index, iteration).bits());
                }
            }
        }
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 8_000);
    }

    #[test]
    fn whole_numbers_are_even_over_a_range_that_divides_no_power_of_two() {
        let mut random = Generator::new(3, 0, 0);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[usize::try_from(random.int(1, 6)).unwrap() - 1] += 1;
        }
        // The seed is fixed, so this is a fact about the stream and not a matter of luck; 5 standard deviations are 456.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 456), "{counts:?}");
    }

    #[test]
    fn the_whole_range_of_i64_can_be_asked_for() {
        let mut random = Generator::new(3, 0, 0);
        assert!((0..100).map(|_| random.int(i64::MIN, i64::MAX)).any(|number| number < 0));
        assert_eq!(random.int(i64::MAX, i64::MAX), i64::MAX);
    }

    #[test]
    fn numbers_stay_within_their_limits() {
        run("for _ = 1, 2000 do
               local n = random.int(-3, 3); assert(n >= -3 and n <= 3 and n % 1 == 0)
               local x = random.number(2, 5); assert(x >= 2 and x < 5)
               local u = random.number(); assert(u >= 0 and u < 1)
             end
             assert(random.int(4, 4) == 4)");
    }

    #[test]
    fn choice_takes_every_element_in_time() {
        run("local seen, count = {}, 0
             for _ = 1, 200 do seen[random.choice { 'a', 'b', 'c' }] = true end
             for _ in pairs(seen) do count = count + 1 end
             assert(count == 3)");
    }

    #[test]
    fn weights_decide_how_often_and_zero_means_never() {
        run("local counts = { a = 0, b = 0 }
             for _ = 1, 4000 do local k = random.weighted { a = 3, b = 1, never = 0 }; counts[k] = counts[k] + 1 end
             assert(counts.a > 2850 and counts.a < 3150, counts.a)
             local list = {}
             for _ = 1, 100 do list[random.weighted { { 'x', 1 }, { 'y', 1 }, { value = 'z', weight = 1 } }] = true end
             assert(list.x and list.y and list.z)");
    }

    #[test]
    fn a_weighted_choice_does_not_depend_on_the_order_of_a_table() {
        let draw = "local t = {}; for _, k in ipairs(ORDER) do t[k] = 1 end
                    local out = {}; for i = 1, 50 do out[i] = random.weighted(t) end; return table.concat(out)";
        let with = |order: &str| -> String { vm(Some(Generator::new(1, 2, 3))).load(draw.replace("ORDER", order)).eval().unwrap() };
        assert_eq!(with("{ 'a', 'b', 'c', 'd', 'e' }"), with("{ 'e', 'c', 'a', 'd', 'b' }"));
    }

    #[test]
    fn strings_have_the_length_and_the_alphabet_asked_for() {
        run("assert(random.string(0) == '')
             assert(random.string(40):match('^%w+$') and #random.string(40) == 40)
             assert(random.string(20, 'ab'):match('^[ab]+$'))
             assert(#random.string(10, 'äö') == 20)");
    }

    #[test]
    fn a_mistake_is_raised_at_the_callers_line() {
        for (code, why) in [
            ("random.int(5, 1)", "script:1: random.int: 5 is greater than 1"),
            ("random.int(1.5, 2)", "script:1: random.int: the limits must be whole numbers"),
            ("random.int('x', 2)", "script:1: random.int: the limits must be whole numbers"),
            ("random.choice {}", "script:1: random.choice: the list is empty"),
            ("random.weighted { a = -1 }", "script:1: random.weighted: a weight must be a number of 0 or more"),
            ("random.weighted { a = 0 }", "script:1: random.weighted: the weights add up to 0"),
            ("random.string(-1)", "script:1: random.string: the length must be a whole number"),
            ("random.string(3, '')", "script:1: random.string: the alphabet is empty"),
        ] {
            let error = fails(code);
            assert!(error.contains(why), "{code}: {error}");
        }
    }

    #[test]
    fn while_the_script_is_loaded_there_are_no_random_numbers() {
        for code in [
            "random.int(1, 2)",
            "random.number()",
            "random.choice { 1 }",
            "random.weighted { a = 1 }",
            "random.string(3)",
            "native_random()",
        ] {
            let error = vm(None).load(code).set_name("=script").exec().unwrap_err().to_string();
            assert!(error.contains("script:1: random numbers are not available while the script is loaded"), "{code}: {error}");
        }
    }

    #[test]
    fn math_random_takes_what_luas_own_takes() {
        run("for _ = 1, 500 do
               local u = native_random(); assert(u >= 0 and u < 1)
               local n = native_random(6); assert(n >= 1 and n <= 6 and n % 1 == 0)
               local m = native_random(-2, 2); assert(m >= -2 and m <= 2 and m % 1 == 0)
               local half = native_random(0.5, 2.5); assert(half == 0.5 or half == 1.5 or half == 2.5)
               assert(native_random('3') <= 3)
             end");
        assert!(fails("native_random(0)").contains("script:1: bad argument #1 to 'random' (interval is empty)"));
        assert!(fails("native_random(3, 1)").contains("script:1: bad argument #2 to 'random' (interval is empty)"));
        assert!(fails("native_random({})").contains("script:1: bad argument #1 to 'random' (number expected, got table)"));
        assert!(fails("native_random(nil)").contains("script:1: bad argument #1 to 'random' (number expected, got no value)"));
    }
}
