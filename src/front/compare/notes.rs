//! What a reader must know of two runs before he believes in a difference: what was not alike, and what was not sound.

use super::read::Reported;
use crate::front::text::escape;

/// A line for each thing, the gravest first.
#[must_use]
pub fn notes(base: &Reported, new: &Reported) -> Vec<String> {
    let mut notes = Vec::new();
    let mut unlike = |what: &str, one: Option<String>, other: Option<String>| {
        if let (Some(one), Some(other)) = (one, other)
            && one != other
        {
            notes.push(format!("the runs have different {what}: {} and {}", escape(&one), escape(&other)));
        }
    };
    unlike("scenarios", Some(base.scenario.clone()), Some(new.scenario.clone()));
    unlike("scripts", base.script.clone(), new.script.clone());
    if base.script == new.script {
        unlike("contents of the script", base.fingerprint.as_deref().map(short), new.fingerprint.as_deref().map(short));
    }
    unlike("hosts", base.host.clone(), new.host.clone());
    unlike("numbers of users at most", base.users.map(|users| users.to_string()), new.users.map(|users| users.to_string()));
    unlike("seeds", base.seed.map(|seed| seed.to_string()), new.seed.map(|seed| seed.to_string()));
    let (one, other) = (base.elapsed_s, new.elapsed_s);
    if (one - other).abs() > 0.05 * one.max(other) {
        notes.push(format!("the runs have different lengths: {one:.0} s and {other:.0} s"));
    }
    for (name, run) in [("base", base), ("new", new)] {
        if !run.is_complete {
            notes.push(format!("{name}: the report is not complete"));
        }
        if let Some(words) = &run.failed {
            notes.push(format!("{name}: the run has not passed by itself: {}", escape(words)));
        }
        let mut counted = |count: u64, what: &str| {
            if count > 0 {
                notes.push(format!("{name}: {count} {what}"));
            }
        };
        counted(run.unsound_s, "s were unsound: the generator itself was late, and its delay may stand in the durations");
        counted(run.holes as u64, "holes: numbers of workers are lost");
        counted(run.overlaps as u64, "overlaps: load ran twice");
    }
    notes
}

fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_alike_and_what_was_not_sound_is_told() {
        let base = Reported { is_complete: true, seed: Some(1), users: Some(10), elapsed_s: 60.0, ..Reported::default() };
        assert_eq!(notes(&base, &base), Vec::<String>::new());
        let new = Reported { seed: Some(2), users: None, elapsed_s: 90.0, is_complete: false, unsound_s: 3, holes: 1, ..base.clone() };
        let told = notes(&base, &new);
        assert_eq!(told.len(), 5, "{told:?}");
        assert!(told[0].contains("seeds: 1 and 2") && told[1].contains("60 s and 90 s") && told[3].contains("3 s were unsound"));
    }
}
