//! Errors and tracebacks as people read them: the script's own frames, none of ours.

/// The frames of the script in a traceback of LuaJIT's, one a line, without the frames of the engine. At most [`LONGEST`] of them.
pub(super) fn script_frames(traceback: &str) -> String {
    let frames = traceback
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "stack traceback:")
        .filter(|line| !line.starts_with("[C]:") && !line.starts_with("[lunamoth"))
        .take(LONGEST);
    frames.collect::<Vec<_>>().join("\n")
}

/// The text of an error that Rust raised inside Lua, without mlua's own words.
pub(super) fn error_text(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } => error_text(cause),
        mlua::Error::RuntimeError(text) | mlua::Error::MemoryError(text) => {
            // mlua appends a traceback to what Lua raised.
            text.split("\nstack traceback:").next().unwrap_or(text).to_owned()
        }
        other => other.to_string(),
    }
}

/// Splits `file:line: message`.
pub(super) fn split_place(text: &str) -> Option<(String, u32, String)> {
    let (file, rest) = text.split_once(".lua:")?;
    let (line, message) = rest.split_once(':')?;
    Some((format!("{file}.lua"), line.parse().ok()?, message.trim().to_owned()))
}

/// Lines of a traceback that are kept.
const LONGEST: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_the_engine_are_left_out() {
        let raw = "\nstack traceback:\n\t[C]: in function 'error'\n\tshop.lua:3: in function 'buy'\n\t[lunamoth http]:4: in function 'get'\n\tshop.lua:9: in function <shop.lua:8>";
        assert_eq!(script_frames(raw), "shop.lua:3: in function 'buy'\nshop.lua:9: in function <shop.lua:8>");
    }

    #[test]
    fn a_place_is_split_from_its_message() {
        assert_eq!(split_place("a.b.lua:12: '=' expected"), Some(("a.b.lua".into(), 12, "'=' expected".into())));
        assert_eq!(split_place("no place"), None);
    }
}
