//! Where a VM finds the script's files: on disk at the first evaluation, in memory ever after.

use std::cell::RefCell;
use std::sync::Arc;

use super::bundle::{Bundle, Reader, SourceFile};
use super::data_file::DataFile;

/// Where a VM finds the script's files.
#[derive(Debug)]
pub(super) enum Sources {
    /// On disk, remembered as they are read: the first evaluation.
    Disk(RefCell<Reader>),
    /// In memory: every further one.
    Memory(Arc<Bundle>),
}

impl Sources {
    /// The script itself: its name and its bytes.
    pub(super) fn main(&self) -> SourceFile {
        match self {
            Self::Disk(reader) => reader.borrow().bundle().main_file().clone(),
            Self::Memory(bundle) => bundle.main_file().clone(),
        }
    }

    /// The file that `require "name"` means; `Ok(None)` where there is none.
    pub(super) fn module(&self, name: &str) -> Result<Option<SourceFile>, String> {
        match self {
            Self::Disk(reader) => reader.borrow_mut().module(name).map_err(|error| error.to_string()),
            Self::Memory(bundle) => Ok(bundle.module(name)),
        }
    }

    /// A file that the script names by its path, relative to its folder; a certificate, say.
    pub(super) fn named_file(&self, name: &str) -> Result<Arc<[u8]>, String> {
        match self {
            Self::Disk(reader) => reader.borrow_mut().named_file(name).map_err(|error| error.to_string()),
            Self::Memory(bundle) => {
                bundle.file(name).map(Arc::clone).ok_or_else(|| format!("`{name}` was not read when the script was loaded"))
            }
        }
    }

    /// A file of rows, by its path in the script's folder or that of `--data`.
    pub(super) fn data_file(&self, name: &str) -> Result<Arc<DataFile>, String> {
        match self {
            Self::Disk(reader) => reader.borrow_mut().data_file(name),
            Self::Memory(bundle) => bundle.data_file(name).ok_or_else(|| {
                format!("`{name}` was not read when the script was loaded on the master's side: its top level must not depend on time, chance or place")
            }),
        }
    }

    /// What the scenario is called.
    pub(super) fn scenario_name(&self) -> String {
        match self {
            Self::Disk(reader) => reader.borrow().bundle().scenario_name().to_owned(),
            Self::Memory(bundle) => bundle.scenario_name().to_owned(),
        }
    }
}
