//! Settings from the TOML file of `--config`.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::layer::{Layer, Origin};
use super::setting::{Kind, Setting, nearest};

/// Reads the file's text; `path` is for messages only.
pub(super) fn read(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let line_of = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: line_of(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let mut layer = Layer::default();
    for (key, value) in table.get_ref() {
        let line = line_of(key.span().start);
        let Some(setting) = Setting::of_key(key.get_ref()) else {
            let key = key.get_ref().to_string();
            let keys = Setting::ALL.iter().filter(|setting| **setting != Setting::Config).map(|setting| setting.key().to_owned());
            // A secret has no key, however near another one is.
            let nearest = if key.starts_with("secret") { Some(Setting::SecretFile.key().to_owned()) } else { nearest(&key, keys) };
            return Err(ConfigError::UnknownKey { path: path.to_owned(), line, key, nearest });
        };
        let origin = Origin::File { path: path.to_owned(), line };
        let texts = texts(setting, value.get_ref()).map_err(|problem| ConfigError::Value {
            setting,
            origin: origin.clone(),
            text: text.get(value.span()).unwrap_or_default().to_owned(),
            problem,
        })?;
        layer.insert(setting, texts, origin);
    }
    Ok(layer)
}

/// The value as the texts that a flag would give.
fn texts(setting: Setting, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let kind = setting.row().kind;
    match value {
        DeValue::Array(items) if kind == Kind::List => items.iter().map(|item| scalar(item.get_ref())).collect(),
        DeValue::Table(table) if kind == Kind::Pairs => {
            table.iter().map(|(name, value)| Ok(format!("{}={}", name.get_ref(), scalar(value.get_ref())?))).collect()
        }
        _ if kind == Kind::Pairs => Err("takes a table of names and values".to_owned()),
        // `json = 5` would write a file called `5`, which nobody means.
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) if kind == Kind::Path => Err("takes a path in quotes".to_owned()),
        value => Ok(vec![scalar(value)?]),
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(is_on) => Ok(is_on.to_string()),
        other => Err(format!("takes one plain value, not this {}", other.type_str())),
    }
}
