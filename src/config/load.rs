//! The thin shell around resolving: the environment and the files that settings name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Warning};
use super::layer::Layer;
use super::secret::Secret;
use super::setting::Setting;
use super::settings::Settings;

/// Reads the environment and the files that the settings name, and resolves.
///
/// # Errors
/// As [`Settings::resolve`], or a file that cannot be read.
pub fn load(typed: &Layer) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let text = |text: OsString| text.to_string_lossy().into_owned();
    load_with(typed, std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect())
}

fn load_with(typed: &Layer, variables: Vec<(String, String)>) -> Result<(Settings, Vec<Warning>), ConfigError> {
    let from_environment = variables.iter().find(|(name, _)| *name == Setting::Config.variable()).map(|(_, value)| value.clone());
    let path = typed.texts(Setting::Config).last().cloned().or(from_environment).filter(|path| !path.is_empty()).map(PathBuf::from);
    let text = path.as_deref().map(|path| read_text(path, Setting::Config)).transpose()?;
    let (mut settings, warnings) = Settings::resolve(typed, variables, path.as_deref().zip(text.as_deref()))?;
    settings.extra_roots = settings.ca_file.as_deref().map(|path| read_text(path, Setting::CaFile)).transpose()?;
    if let Some(path) = &settings.secret_file {
        settings.secret = Some(read_secret(path)?);
    }
    if let Some(path) = &settings.web_token_file {
        settings.web_token = Some(read_token(path)?);
    }
    Ok((settings, warnings))
}

fn read_secret(path: &Path) -> Result<Secret, ConfigError> {
    let secret = Secret::new(&read_text(path, Setting::SecretFile)?);
    match secret.problem() {
        Some(problem) => Err(ConfigError::Secret { place: path.display().to_string(), problem }),
        None => Ok(secret),
    }
}

fn read_token(path: &Path) -> Result<Secret, ConfigError> {
    let token = Secret::new(&read_text(path, Setting::WebTokenFile)?);
    match token.token_problem() {
        Some(problem) => Err(ConfigError::Token { place: path.display().to_string(), problem }),
        None => Ok(token),
    }
}

fn read_text(path: &Path, setting: Setting) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), named_by: setting.flag(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(secret_file: &Path) -> Result<Settings, ConfigError> {
        let mut typed = Layer::default();
        typed.add_flag(Setting::SecretFile, secret_file.to_str().unwrap());
        load_with(&typed, Vec::new()).map(|(settings, _)| settings)
    }

    #[test]
    fn a_secret_is_read_from_its_file_without_the_end_of_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "correct horse battery\n").unwrap();
        let settings = loaded(&file).unwrap();
        assert_eq!(settings.secret.as_ref().map(Secret::reveal), Some("correct horse battery"));
        assert!(!format!("{settings:?}").contains("horse"));
    }

    #[test]
    fn a_secret_file_that_cannot_serve_is_named_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let shown = file.display().to_string();
        assert!(loaded(&file).unwrap_err().to_string().starts_with(&format!("cannot read `{shown}`, named by `--secret-file`")));
        std::fs::write(&file, "hush\n").unwrap();
        assert_eq!(
            loaded(&file).unwrap_err().to_string(),
            format!("the cluster's secret in `{shown}` has fewer than 12 characters: `lunamoth secret` makes a right one")
        );
    }
}
