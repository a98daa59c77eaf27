//! Why a script could not be loaded.

use std::path::PathBuf;

use super::traceback;

/// Why a script could not be loaded. Each text fits after `failed to load the script: `.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum LoadScriptError {
    /// Nothing at the path.
    #[error("no script at `{}`", path.display())]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// The path is a folder.
    #[error("`{}` is a directory: name the script in it", path.display())]
    Directory {
        /// As it was given.
        path: PathBuf,
    },
    /// `--scripts` names nothing.
    #[error("no folder at `{}`: --scripts names the folder that holds the scripts", path.display())]
    NoFolder {
        /// As it was given.
        path: PathBuf,
    },
    /// `--scripts` names a file.
    #[error("`{}` is no folder: --scripts names the folder that holds the scripts, --script the script in it", path.display())]
    NotFolder {
        /// As it was given.
        path: PathBuf,
    },
    /// A folder without a script.
    #[error("`{}` holds no `*.lua` file: put the script there as `main.lua`", folder.display())]
    NoScripts {
        /// The folder of the scripts.
        folder: PathBuf,
    },
    /// Several scripts, and none is the obvious one.
    #[error("`{}` holds {} and no `main.lua`: choose one by --script NAME", folder.display(), listed(names))]
    WhichScript {
        /// The folder of the scripts.
        folder: PathBuf,
        /// The scripts in it.
        names: Vec<String>,
    },
    /// The folder does not hold the script that was asked for.
    #[error("no script `{name}` in `{}`: it holds {}; choose one by --script NAME", folder.display(), listed(names))]
    NoSuchScript {
        name: String,
        /// The folder of the scripts.
        folder: PathBuf,
        /// The scripts in it; never empty.
        names: Vec<String>,
    },
    /// What was asked for is a path, or cannot be a file's name.
    #[error("`{name}` is no script's name: it is the name of a file in the folder of the scripts, such as `main.lua`, without a path")]
    BadName {
        /// As it was given, escaped and shortened.
        name: String,
    },
    /// Each time that the folder was read, it was another one at the end than at the beginning.
    #[error("`{}` was replaced again and again while it was read: wait until it stays, then try again", folder.display())]
    Unsteady {
        /// The folder of the scripts.
        folder: PathBuf,
    },
    /// A file that the script names is not there.
    #[error("no file at `{}`, which the script names", path.display())]
    NoFile {
        /// In the script's folder.
        path: PathBuf,
    },
    /// The operating system would not read it.
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        error: std::io::Error,
    },
    /// A source file beyond the limit.
    #[error("`{}` is larger than 16 MiB, too large for a source file", path.display())]
    TooLarge { path: PathBuf },
    /// No text, so no source.
    #[error("`{}` is no Lua source: it holds zero bytes or bytecode; save it as plain text in UTF-8", path.display())]
    Binary { path: PathBuf },
    /// A symlink leads out of the script's folder.
    #[error("`{}` leads out of the script's folder `{}`: copy the file into it", path.display(), folder.display())]
    Outside { path: PathBuf, folder: PathBuf },
    /// A file that `require` would never find, because a library has its name.
    #[error("`{}` has the name of a library: rename it, or `require` would never find it", path.display())]
    Shadowed { path: PathBuf },
    /// The script does not compile.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// Relative to the script's folder.
        file: String,
        line: u32,
        message: String,
    },
    /// The script raised at its top level. The message begins with file and line.
    #[error("{message}{}", indented(traceback))]
    Raised {
        /// With file and line.
        message: String,
        /// The script's own frames; empty where the message says it all.
        traceback: String,
    },
    /// The script runs, but what it describes cannot be run.
    #[error("{}", placed(file, message))]
    Scenario {
        /// The script's file name.
        file: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A Lua VM could not be set up.
    #[error("cannot set up a Lua VM: {0}")]
    Engine(String),
}

/// What is wrong with a file; what a function of it raised bears file and line already.
fn placed(file: &str, message: &str) -> String {
    let has_place = traceback::split_place(message).is_some_and(|(place, ..)| !place.contains(' '));
    if has_place { message.to_owned() } else { format!("{file}: {message}") }
}

/// Names in a sentence: the first ones, and how many more.
fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.len() - shown.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn indented(traceback: &str) -> String {
    traceback.lines().map(|line| format!("\n    {}", line.trim())).collect()
}

/// Names of scripts in one message.
const NAMES_SHOWN: usize = 10;
