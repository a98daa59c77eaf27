//! A script to start from, with what an editor needs to complete and check it: `lunamoth new`.
//!
//! Owns the files that are written and the order in which they are. A file that is there is never overwritten, but for the annotations, which are the
//! program's own and follow its version.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{bindings, stdlib};

/// The files that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// The script that `lunamoth run` takes.
    pub script: PathBuf,
    /// The folder of the annotations, beside the script.
    pub annotations: PathBuf,
    /// The editor's settings, beside the script.
    pub settings: PathBuf,
    /// Whether the settings were there already and do not name the annotations.
    pub settings_lack_annotations: bool,
}

/// Why a script to start from could not be written. Nothing that was there has been changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum StarterError {
    /// The name cannot be a script's.
    #[error("`{name}` is no name for a script: letters, digits, `_` and `-` are; such as `lunamoth new shop`")]
    BadName {
        /// As it was given.
        name: String,
    },
    /// A library has the name.
    #[error("`{name}` is the name of a library, which scripts beside it could no longer `require`: choose another name")]
    Library { name: String },
    /// The script is there already.
    #[error("`{}` is there already, and is left as it is: choose another name", path.display())]
    Exists { path: PathBuf },
    /// The operating system would not write it.
    #[error("cannot write `{}`: {error}", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        error: std::io::Error,
    },
}

/// Writes a script at `path` (`.lua` is added where it lacks), and beside it `.luarc.json` and the libraries' annotations.
///
/// # Errors
/// The name is none for a script, the script exists, or something cannot be written.
pub fn create(path: &Path) -> Result<Starter, StarterError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.strip_suffix(".lua").unwrap_or(&name).to_owned();
    if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') {
        return Err(StarterError::BadName { name: path.display().to_string() });
    }
    if bindings::LIBRARIES.iter().map(|library| library.0).chain(bindings::LATER.iter().copied()).any(|library| library == name) {
        return Err(StarterError::Library { name });
    }
    let script = path.with_file_name(format!("{name}.lua"));
    if script.symlink_metadata().is_ok() {
        return Err(StarterError::Exists { path: script });
    }
    let folder = script.parent().map(Path::to_path_buf).unwrap_or_default();
    let annotations = folder.join(ANNOTATIONS);
    let made = |path: &Path| fs::create_dir_all(path).map_err(|error| StarterError::Unwritable { path: path.to_owned(), error });
    made(&annotations)?;
    for (library, _) in bindings::LIBRARIES {
        let file = format!("{library}.lua");
        let text = stdlib::source(&file).unwrap_or_default();
        let path = annotations.join(file);
        fs::write(&path, text).map_err(|error| StarterError::Unwritable { path, error })?;
    }
    let settings = folder.join(".luarc.json");
    write_new(&settings, SETTINGS.as_bytes())?;
    let settings_lack_annotations = !fs::read_to_string(&settings).unwrap_or_default().contains(ANNOTATIONS);
    // Last, so that a script is there only where all the rest is.
    if !write_new(&script, SCRIPT.replace("NAME", &name).as_bytes())? {
        return Err(StarterError::Exists { path: script });
    }
    Ok(Starter { script, annotations, settings, settings_lack_annotations })
}

/// Whether the file was written: not where there is one.
fn write_new(path: &Path, content: &[u8]) -> Result<bool, StarterError> {
    let unwritable = |error| StarterError::Unwritable { path: path.to_owned(), error };
    match fs::File::create_new(path) {
        Ok(mut file) => file.write_all(content).map(|()| true).map_err(unwritable),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(unwritable(error)),
    }
}

/// A name that begins with a dot is no part of a script, so the files in it cannot pass for siblings with a library's name.
const ANNOTATIONS: &str = ".lunamoth";

const SCRIPT: &str = include_str!("starter.lua");

/// Of the Lua language server. What the sandbox leaves out is unknown to the editor as well; `package` stays, since `require` is declared there.
const SETTINGS: &str = r#"{
  "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
  "runtime.version": "LuaJIT",
  "runtime.builtin": {
    "debug": "disable",
    "ffi": "disable",
    "io": "disable",
    "jit": "disable",
    "jit.profile": "disable",
    "jit.util": "disable",
    "string.buffer": "disable",
    "table.clear": "disable",
    "table.new": "disable"
  },
  "workspace.library": [".lunamoth"],
  "workspace.checkThirdParty": false
}
"#;

#[cfg(test)]
mod tests {
    use super::super::{Host, LoadOptions};
    use super::*;

    #[test]
    fn the_script_loads_and_an_editor_finds_every_library() {
        let folder = tempfile::tempdir().unwrap();
        let starter = create(&folder.path().join("shop")).unwrap();
        assert_eq!(starter.script, folder.path().join("shop.lua"));
        assert!(!starter.settings_lack_annotations);
        let host = Host::load(&starter.script, &LoadOptions::default()).unwrap();
        assert_eq!(host.description().host.as_deref(), Some("builtin:shop"));
        assert_eq!(host.description().name, "shop");
        for (library, _) in bindings::LIBRARIES {
            let text = fs::read_to_string(starter.annotations.join(format!("{library}.lua"))).unwrap();
            assert!(text.starts_with("---@meta"), "{library}");
        }
        assert!(fs::read_to_string(&starter.script).unwrap().contains("lunamoth check shop.lua"));
    }

    #[test]
    fn nothing_of_the_users_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("shop.lua");
        fs::write(&script, "mine").unwrap();
        assert!(matches!(create(&script), Err(StarterError::Exists { .. })));
        assert_eq!(fs::read_to_string(&script).unwrap(), "mine");

        fs::write(folder.path().join(".luarc.json"), "{}").unwrap();
        let starter = create(&folder.path().join("other.lua")).unwrap();
        assert!(starter.settings_lack_annotations);
        assert_eq!(fs::read_to_string(&starter.settings).unwrap(), "{}");
        assert!(!create(&folder.path().join("below/third")).unwrap().settings_lack_annotations);
    }

    #[test]
    fn names_that_no_script_can_have_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["http", "http.lua", "jwt"] {
            assert!(matches!(create(&folder.path().join(name)), Err(StarterError::Library { .. })), "{name}");
        }
        for name in [".lua", "a b", "a.b"] {
            assert!(matches!(create(&folder.path().join(name)), Err(StarterError::BadName { .. })), "{name}");
        }
        assert!(matches!(create(Path::new("")), Err(StarterError::BadName { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
