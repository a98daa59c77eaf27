//! Routes LuaJIT's two functions that spell numbers through `src/script/numerals.rs`, where the linker can.
//!
//! `--wrap` is of GNU ld, lld and mold. Elsewhere numbers are spelled as LuaJIT does: with 14 digits.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(spells_whole_numbers)");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cfg=spells_whole_numbers");
        for function in ["lj_strfmt_num", "lj_strfmt_putfnum"] {
            println!("cargo::rustc-link-arg=-Wl,--wrap={function}");
        }
    }
}
