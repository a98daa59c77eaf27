//! `lunamoth compare`: reads two reports, compares them, and shows it.

use std::path::Path;

use super::failure::Failure;
use crate::cli::Compare;
use crate::front::compare::{ComparisonFile, Names, Reported, Shown, junit, markdown, notes, read, text};
use crate::front::console::{Colours, ExitCode, Screen, Tables};
use crate::front::report::is_stdout;
use crate::stats::comparison::{Comparison, Limit, State, compare};

/// Compares; the exit code says whether a limit is broken.
pub(super) fn compare_reports(asked: &Compare) -> Result<u8, Failure> {
    let limits = asked.limits.iter().map(|text| Limit::parse(text)).collect::<Result<Vec<_>, _>>().map_err(Failure::bad_use)?;
    let new = read(&asked.new).map_err(Failure::bad_use)?;
    if asked.updates && !asked.base.exists() {
        let screen = Screen::new(Colours::of(false, |name| std::env::var_os(name)), Tables::Stdout);
        if asked.markdown.is_some() || asked.junit.is_some() {
            let base = asked.base.display();
            screen.print(&format!("{base} is not there yet: nothing was compared, and nothing is written for --markdown and --junit\n"));
        }
        return take_as_base(asked, &new, screen);
    }
    let base = read(&asked.base).map_err(Failure::bad_use)?;
    let files = ForPrograms::create(asked.markdown.as_deref(), asked.junit.as_deref())?;
    let comparison = compare(&base.side, &new.side, &limits);
    let told = notes(&base, &new);
    let shown = Shown { names: Names::REPORTS, base: &base, new: &new, comparison: &comparison, notes: &told };
    let tables = if files.take_stdout { Tables::Stderr } else { Tables::Stdout };
    let screen = Screen::new(Colours::of(false, |name| std::env::var_os(name)), tables);
    screen.print(&text(&shown, screen.is_coloured()));
    files.finish(&shown)?;
    if screen.has_failed() {
        return Ok(ExitCode::BadUse.code());
    }
    let code = exit_code(&comparison, &limits)?;
    if asked.updates && code == ExitCode::Passed.code() { take_as_base(asked, &new, screen) } else { Ok(code) }
}

/// What a comparison is written to besides the console.
pub(super) struct ForPrograms {
    markdown: Option<ComparisonFile>,
    junit: Option<ComparisonFile>,
    /// One of them goes to stdout, which is then no place for tables.
    pub(super) take_stdout: bool,
}

impl ForPrograms {
    /// Looks at the places.
    pub(super) fn create(markdown: Option<&Path>, junit: Option<&Path>) -> Result<Self, Failure> {
        let on_stdout = markdown.into_iter().chain(junit).filter(|path| is_stdout(path)).count();
        if on_stdout > 1 {
            return Err(Failure::bad_use(anyhow::anyhow!("--markdown and --junit cannot both be written to stdout")));
        }
        let create = |path: Option<&Path>| path.map(ComparisonFile::create).transpose().map_err(Failure::bad_use);
        Ok(Self { markdown: create(markdown)?, junit: create(junit)?, take_stdout: on_stdout > 0 })
    }

    pub(super) fn finish(self, shown: &Shown<'_>) -> Result<(), Failure> {
        if let Some(file) = self.markdown {
            file.finish(&markdown(shown)).map_err(Failure::bad_use)?;
        }
        if let Some(file) = self.junit {
            file.finish(&junit(shown)).map_err(Failure::bad_use)?;
        }
        Ok(())
    }
}

/// The new report takes the place of the base. One of a run that tells little of its target does not: what comes after would be held against that.
fn take_as_base(asked: &Compare, new: &Reported, screen: Screen) -> Result<u8, Failure> {
    let (base, path) = (asked.base.display(), asked.new.display());
    if let Some(why) = new.unfit() {
        screen.print(&format!("{path} is no base for later comparisons: {why}\n"));
    } else {
        let text = std::fs::read_to_string(&asked.new).map_err(|why| Failure::bad_use(anyhow::anyhow!("{path} cannot be read: {why}")))?;
        ComparisonFile::create(&asked.base).and_then(|file| file.finish(&text)).map_err(Failure::bad_use)?;
        screen.print(&format!("{path} is the base of the next comparison: {base}\n"));
    }
    Ok(if screen.has_failed() { ExitCode::BadUse } else { ExitCode::Passed }.code())
}

/// Whether a limit is broken, as an exit code.
pub(super) fn exit_code(comparison: &Comparison, limits: &[Limit]) -> Result<u8, Failure> {
    if comparison.outcomes.iter().any(|outcome| outcome.state.is_broken()) {
        return Ok(ExitCode::ThresholdsFailed.code());
    }
    // A limit that nothing was held against must not look as if it were kept.
    let is_idle = |limit: &&Limit| {
        let mut outcomes = comparison.outcomes.iter().filter(|outcome| outcome.limit == limit.text);
        outcomes.all(|outcome| matches!(outcome.state, State::Unjudged(_)))
    };
    match limits.iter().find(is_idle) {
        Some(limit) => {
            Err(Failure::bad_use(anyhow::anyhow!("`--limit \"{}\"` could not be judged on anything: see above why", limit.text)))
        }
        None => Ok(ExitCode::Passed.code()),
    }
}
