//! Why a script could not be loaded.

use std::path::PathBuf;

/// Why a script could not be loaded. Each text fits after `failed to load the script: `.
#[derive(Debug, thiserror::Error)]
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
    /// The system refused.
    #[error("cannot read `{}`: {error}", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// The system's reason.
        error: std::io::Error,
    },
    /// A source file beyond the limit.
    #[error("`{}` is larger than 16 MiB, too large for a source file", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A symlink leads out of the script's folder.
    #[error("`{}` leads out of the script's folder `{}`: copy the file into it", path.display(), folder.display())]
    Outside {
        /// The link.
        path: PathBuf,
        /// The script's folder.
        folder: PathBuf,
    },
    /// A file that `require` would never find, because a library has its name.
    #[error("`{}` has the name of a library: rename it, or `require` would never find it", path.display())]
    Shadowed {
        /// The file.
        path: PathBuf,
    },
    /// The script does not compile.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// Relative to the script's folder.
        file: String,
        /// 1-based.
        line: u32,
        /// LuaJIT's words.
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
    #[error("{file}: {message}")]
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

fn indented(traceback: &str) -> String {
    traceback.lines().map(|line| format!("\n    {}", line.trim())).collect()
}
