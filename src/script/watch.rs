//! When a folder of scripts is read again: a cheap stamp of what it holds, and the rule by which a change counts.
//!
//! Reads names, links, sizes and times, never a file's contents. What a load finds is `folder`'s.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// What a folder is known by from one look to the next: where `..data` leads, and the name, size, number and times of each file. Two stamps of one
/// process can be compared, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderStamp(Option<u64>);

impl FolderStamp {
    /// The folder at this moment; a folder that cannot be read has a stamp, too.
    pub(super) fn of(folder: &Path) -> Self {
        let (mut sum, mut left) = (0, MOST_ENTRIES);
        Self(add(folder, DEEPEST, &mut left, &mut sum).ok().map(|()| sum))
    }
}

/// Decides when a folder that is looked at again and again has changed and has come to rest, so that nothing half-written is loaded.
#[derive(Debug, Clone)]
pub struct Watch {
    /// As it was when it was loaded last, whatever came of that.
    loaded: FolderStamp,
    change: Option<Change>,
}

impl Watch {
    /// A folder that was loaded when it had this stamp.
    #[must_use]
    pub const fn new(loaded: FolderStamp) -> Self {
        Self { loaded, change: None }
    }

    /// How long to wait before the next look.
    #[must_use]
    pub const fn pause(&self) -> Duration {
        if self.change.is_some() { RESTLESS_PAUSE } else { CALM_PAUSE }
    }

    /// The folder was looked at. True if it shall be loaded; then [`Watch::on_loaded`] follows.
    pub fn on_look(&mut self, stamp: FolderStamp, now: Instant) -> bool {
        if stamp == self.loaded {
            // What came has gone again, or nothing came.
            self.change = None;
            return false;
        }
        let change = self.change.get_or_insert(Change { stamp, since: now, begun: now });
        change.note(stamp, now);
        now.saturating_duration_since(change.since) >= REST || change.is_endless(now)
    }

    /// The folder was loaded, and had the stamp `after` when that was done. False if it changed meanwhile: the outcome is of no version that ever was,
    /// and the folder is loaded again once it rests.
    pub fn on_loaded(&mut self, after: FolderStamp, now: Instant) -> bool {
        let Some(change) = &mut self.change else { return true };
        if change.stamp != after && !change.is_endless(now) {
            change.note(after, now);
            return false;
        }
        self.loaded = change.stamp;
        self.change = None;
        true
    }
}

/// A change that has not been loaded.
#[derive(Debug, Clone, Copy)]
struct Change {
    stamp: FolderStamp,
    /// When it was seen like this first.
    since: Instant,
    /// When it was seen to differ from what was loaded.
    begun: Instant,
}

impl Change {
    fn note(&mut self, stamp: FolderStamp, now: Instant) {
        if stamp != self.stamp {
            (self.stamp, self.since) = (stamp, now);
        }
    }

    /// A folder that never comes to rest, since somebody logs into it, say, is loaded all the same.
    fn is_endless(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) >= PATIENCE
    }
}

/// Adds what a folder holds to `sum`; the order in which the system lists it makes no difference.
fn add(folder: &Path, depth: usize, left: &mut usize, sum: &mut u64) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name() else { continue };
        let is_data = name == "..data";
        // Versions that `..data` does not lead to, and what people hide, are no scripts.
        if name.as_encoded_bytes().starts_with(b".") && !is_data {
            continue;
        }
        let Some(rest) = left.checked_sub(1) else { return Ok(()) };
        *left = rest;
        let mut hash = DefaultHasher::new();
        path.hash(&mut hash);
        if is_data {
            fs::read_link(&path).ok().hash(&mut hash);
        } else if let Ok(file) = fs::metadata(&path) {
            if !file.is_dir() {
                (file.len(), file.ino(), file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()).hash(&mut hash);
            } else if depth > 0 {
                // One that cannot be read is told apart by its name.
                let _ = add(&path, depth - 1, left, sum);
            }
        }
        *sum = sum.wrapping_add(hash.finish());
    }
    Ok(())
}

/// Between two looks at a folder that stays as it is.
const CALM_PAUSE: Duration = Duration::from_secs(2);

/// Between two looks at a folder that is being changed.
const RESTLESS_PAUSE: Duration = Duration::from_millis(500);

/// A folder that stays the same for this long has come to rest.
const REST: Duration = Duration::from_secs(1);

/// A folder that does not come to rest for this long is loaded as it is.
const PATIENCE: Duration = Duration::from_secs(15);

/// Files and folders that a look takes in; a look must stay cheap, whatever folder was named.
const MOST_ENTRIES: usize = 10_000;

/// Deeper folders are not looked at.
const DEEPEST: usize = 8;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const fn stamp(number: u64) -> FolderStamp {
        FolderStamp(Some(number))
    }

    /// Looks at a folder with these stamps, half a second apart, and loads it when told to; answers the looks that led to an outcome.
    fn outcomes(watch: &mut Watch, stamps: &[FolderStamp]) -> Vec<usize> {
        let begin = Instant::now();
        let mut outcomes = Vec::new();
        for (number, stamp) in stamps.iter().enumerate() {
            let now = begin + RESTLESS_PAUSE * u32::try_from(number).unwrap();
            if watch.on_look(*stamp, now) && watch.on_loaded(*stamp, now) {
                outcomes.push(number);
            }
        }
        outcomes
    }

    #[test]
    fn a_change_is_loaded_once_when_it_has_come_to_rest() {
        let mut watch = Watch::new(stamp(0));
        assert_eq!(watch.pause(), CALM_PAUSE);
        let looks = [0, 0, 1, 1, 1, 1, 1].map(stamp);
        assert_eq!(outcomes(&mut watch, &looks), [4]);
        assert_eq!(outcomes(&mut watch, &[stamp(1); 10]), [] as [usize; 0]);
    }

    #[test]
    fn many_swaps_in_a_row_are_one_change_and_one_that_is_taken_back_is_none() {
        let mut watch = Watch::new(stamp(0));
        assert_eq!(outcomes(&mut watch, &[1, 2, 3, 4, 5, 5, 5, 5].map(stamp)), [6]);
        assert_eq!(outcomes(&mut watch, &[6, 6, 5, 5, 5, 5].map(stamp)), [] as [usize; 0]);
        assert_eq!(watch.pause(), CALM_PAUSE);
    }

    #[test]
    fn what_changes_while_it_is_loaded_is_loaded_again() {
        let (mut watch, begin) = (Watch::new(stamp(0)), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        assert!(!watch.on_look(stamp(1), at(0)));
        assert!(watch.on_look(stamp(1), at(1_000)));
        assert!(!watch.on_loaded(stamp(2), at(1_100)), "it was half of each");
        assert_eq!(watch.pause(), RESTLESS_PAUSE);
        assert!(!watch.on_look(stamp(2), at(1_600)));
        assert!(watch.on_look(stamp(2), at(2_100)));
        assert!(watch.on_loaded(stamp(2), at(2_200)));
    }

    #[test]
    fn a_folder_that_vanishes_and_comes_back_is_two_changes() {
        let mut watch = Watch::new(stamp(0));
        let gone = FolderStamp(None);
        assert_eq!(outcomes(&mut watch, &[gone, gone, gone, gone, stamp(0), stamp(0), stamp(0)]), [2, 6]);
        assert_eq!(outcomes(&mut watch, &[gone, stamp(0), stamp(0), stamp(0)]), [] as [usize; 0], "it was being mounted anew");
    }

    #[test]
    fn a_folder_that_never_rests_is_loaded_now_and_then() {
        let mut watch = Watch::new(stamp(0));
        let looks: Vec<_> = (1..=70).map(stamp).collect();
        assert_eq!(outcomes(&mut watch, &looks), [30, 61]);
    }

    #[test]
    fn a_stamp_changes_with_a_swap_with_a_write_and_with_a_nested_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut seen = vec![FolderStamp::of(path)];
        let mut is_another = |what: &str| {
            let stamp = FolderStamp::of(path);
            assert!(!seen.contains(&stamp), "{what}");
            assert_eq!(stamp, FolderStamp::of(path), "{what}");
            seen.push(stamp);
        };
        for version in ["..1", "..2"] {
            fs::create_dir(path.join(version)).unwrap();
            fs::write(path.join(version).join("main.lua"), "return 1").unwrap();
        }
        symlink("..1", path.join("..data")).unwrap();
        symlink("..data/main.lua", path.join("main.lua")).unwrap();
        is_another("it is mounted");
        symlink("..2", path.join("..data_tmp")).unwrap();
        fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        is_another("it is swapped");
        fs::create_dir(path.join("lib")).unwrap();
        is_another("a folder comes");
        fs::write(path.join("lib/deep.lua"), "return 1").unwrap();
        is_another("a file in it comes");
        fs::write(path.join("lib/deep.lua"), "return 22").unwrap();
        is_another("it is written anew");
        symlink("..", path.join("lib/round")).unwrap();
        is_another("a ring of links comes to an end");
        fs::remove_dir_all(path).unwrap();
        is_another("it is gone");
    }

    #[test]
    fn what_lies_in_another_version_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        symlink("..1", folder.path().join("..data")).unwrap();
        let before = FolderStamp::of(folder.path());
        fs::create_dir(folder.path().join("..2")).unwrap();
        fs::write(folder.path().join("..2/main.lua"), "").unwrap();
        fs::write(folder.path().join(".main.lua.swp"), "").unwrap();
        assert_eq!(FolderStamp::of(folder.path()), before);
    }
}
