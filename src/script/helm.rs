//! The helm: the functions of `scenario.shape`, in a VM of their own on the master, asked once a second which level their profiles shall have.
//!
//! Owns the thread that the VM lives on. What becomes of an answer is the asker's.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mlua::{Lua, Table};
use tokio::sync::oneshot;

use super::bundle::Bundle;
use super::context::{Stage, VmContext};
use super::sources::Sources;
use super::traceback;
use super::vm::Vm;
use super::watchdog::{self, Watchdog};
use crate::plan::TagFilter;

/// What the function sees of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HelmView {
    /// Users that run, of the profile.
    pub users: u64,
    /// Requests that are counted so far.
    pub requests: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Over the last 10 seconds.
    pub requests_per_s: Option<f64>,
    /// Of the whole run, 0..=1.
    pub fail_ratio: Option<f64>,
    /// Of the last 10 seconds.
    pub p50: Option<Duration>,
    /// Of the last 10 seconds.
    pub p95: Option<Duration>,
}

/// The functions, as long as a run of theirs lasts. Their VM is opened by the first question.
#[derive(Debug, Clone)]
pub struct Helm {
    bundle: Arc<Bundle>,
    env: BTreeMap<String, String>,
    tags: TagFilter,
    questions: Option<mpsc::Sender<Question>>,
}

#[derive(Debug)]
struct Question {
    place: usize,
    second: u64,
    view: HelmView,
    answer: oneshot::Sender<Result<Option<f64>, String>>,
}

impl Helm {
    pub(super) fn new(bundle: Arc<Bundle>, env: BTreeMap<String, String>, tags: TagFilter) -> Self {
        Self { bundle, env, tags, questions: None }
    }

    /// Which level the profile at `place` among the scenario's own, which a function steers, shall have at a second of the run's clock: users, or
    /// iterations a second; `None` where it shall end.
    ///
    /// # Errors
    /// What is wrong with the function, for people.
    pub async fn ask(&mut self, place: usize, second: u64, view: HelmView) -> Result<Option<f64>, String> {
        let questions = match &self.questions {
            Some(questions) => questions.clone(),
            None => self.open()?,
        };
        let (answer, answered) = oneshot::channel();
        let gone = || "the thread of scenario.shape has ended".to_owned();
        questions.send(Question { place, second, view, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    fn open(&mut self) -> Result<mpsc::Sender<Question>, String> {
        let (sender, questions) = mpsc::channel();
        let (bundle, env, tags) = (Arc::clone(&self.bundle), self.env.clone(), self.tags.clone());
        std::thread::Builder::new()
            .name("helm".to_owned())
            .spawn(move || serve(bundle, env, &tags, &questions))
            .map_err(|why| format!("cannot start the thread of scenario.shape: {why}"))?;
        self.questions = Some(sender.clone());
        Ok(sender)
    }
}

/// Answers until nobody asks any more.
fn serve(bundle: Arc<Bundle>, env: BTreeMap<String, String>, tags: &TagFilter, questions: &mpsc::Receiver<Question>) {
    let vm = open(bundle, env, tags);
    while let Ok(Question { place, second, view, answer }) = questions.recv() {
        let level = vm.as_ref().map_err(Clone::clone).and_then(|vm| level(vm, place, second, &view));
        // Whoever asked may have given up.
        let _ = answer.send(level);
    }
}

fn open(bundle: Arc<Bundle>, env: BTreeMap<String, String>, tags: &TagFilter) -> Result<Vm, String> {
    let context = VmContext {
        stage: Cell::new(Stage::Loading),
        lane: None,
        env: RefCell::new(env),
        asked: RefCell::default(),
        client_hosts: RefCell::default(),
        current: RefCell::default(),
        files: RefCell::default(),
        metrics: RefCell::default(),
    };
    let watchdog = Rc::new(Watchdog::start(watchdog::limit())?);
    let (vm, _) = Vm::open(&Rc::new(Sources::Memory(bundle)), Rc::new(context), tags, watchdog).map_err(|why| why.to_string())?;
    Ok(vm)
}

fn level(vm: &Vm, place: usize, second: u64, view: &HelmView) -> Result<Option<f64>, String> {
    let level = vm.level.as_ref().ok_or("the scenario has no function that steers its load")?;
    let text = |error: mlua::Error| traceback::error_text(&error);
    let view = table_of(&vm.lua, view).map_err(text)?;
    // Nothing is there for it that is for users.
    vm.context.stage.set(Stage::Loading);
    let stretch = vm.watchdog.enter(vm.main_state);
    let answer = level.call::<Option<f64>>((place + 1, second, view));
    match stretch.runaway() {
        Some(why) => Err(why),
        None => answer.map_err(text),
    }
}

fn table_of(lua: &Lua, view: &HelmView) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    table.set("users", view.users)?;
    table.set("requests", view.requests)?;
    table.set("failures", view.failures)?;
    table.set("requests_per_s", view.requests_per_s)?;
    table.set("fail_ratio", view.fail_ratio)?;
    table.set("p50", seconds(view.p50))?;
    table.set("p95", seconds(view.p95))?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::testing::{Script, block_on};

    /// What the function answers, second by second, up to its end or its first mistake.
    fn answers(body: &str) -> Vec<Result<Option<f64>, String>> {
        let source = format!(
            "local scenario, http = require 'scenario', require 'http'\nlocal U = scenario.user {{}} U:task('t', function() end)\n\
             return scenario {{ users = {{ U }}, load = scenario.shape(function(t, view)\n{body}\nend) }}"
        );
        let host = Script::new(&source).load().unwrap();
        let mut helm = host.helm(&TagFilter::default()).expect("it is steered");
        block_on(async {
            let mut answers = Vec::new();
            for second in 1..8 {
                let view = HelmView { users: 10 * second, p95: Some(Duration::from_millis(250)), ..HelmView::default() };
                answers.push(helm.ask(0, second, view).await);
                if !matches!(answers.last(), Some(Ok(Some(_)))) {
                    break;
                }
            }
            answers
        })
    }

    #[test]
    fn the_function_is_asked_with_the_second_and_what_is_seen_and_keeps_its_own_state() {
        let body = "if t == 4 then return nil end return { users = 1 + t * 2 + view.users + (view.p95 or 0) * 4 + (view.p50 or 0) }";
        assert_eq!(answers(body), [Ok(Some(14.0)), Ok(Some(26.0)), Ok(Some(38.0)), Ok(None)]);
        assert_eq!(answers("return t < 3 and { rate = 30 * (t + 1) .. '/m' } or nil"), [Ok(Some(1.0)), Ok(Some(1.5)), Ok(None)]);
    }

    #[test]
    fn what_the_function_raises_at_once_bears_its_place_once() {
        let source = "local scenario = require 'scenario'\nlocal U = scenario.user {} U:task('t', function() end)\n\
            return scenario { users = { U }, load = scenario.shape(function(t)\nerror('not yet')\nend) }";
        assert_eq!(Script::new(source).refused(), "test.lua:4: not yet");
    }

    #[test]
    fn each_mistake_of_the_function_is_one_line_with_its_place() {
        for (body, said) in [
            ("if t == 2 then error('no more') end return { users = 1 }", "test.lua:4: no more"),
            ("if t == 2 then while true do end end return { users = 1 }", "test.lua:4: "),
            ("return t < 2 and { users = 1 } or 5", "what the function returns at 2 s must be { users = 10 }"),
            ("return t < 2 and { users = 1 } or {}", "at 2 s must have either users or rate"),
            ("return { users = 1 - t }", "at 1 s: users must be a number from 1 to 1000000, not 0; nil ends the run"),
            ("return { users = 0 / (1 - t) * 5 + (t == 0 and 9 or 0) }", "users must be a number from 1 to 1000000"),
            ("return t < 2 and { users = 1 } or { rate = '5/s' }", "the function returned users at first, and rate at 2 s"),
            ("return t < 2 and { rate = 1 } or { rate = -5 }", "what the function returns at 2 s: a rate is"),
            ("return t < 2 and { users = 1 } or { usres = 5 }", "has no `usres`, did you mean `users`?"),
            ("if t == 2 then http.get('/') end return { users = 1 }", "test.lua:4: a request, a wait or a sleep is not possible"),
        ] {
            let answers = answers(body);
            let Some(Err(why)) = answers.last() else { panic!("{body}: {answers:?}") };
            assert!(why.contains(said) && !why.contains('\n'), "{body}: {why}");
        }
    }
}
