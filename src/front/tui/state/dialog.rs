//! What is in front of everything: help, a confirmation, a form. Owns how a form is typed and read.

use super::super::feed::Order;
use super::super::input::Key;
use super::levels::{Level, Wanted};

/// What is in front.
#[derive(Debug, Clone, PartialEq)]
pub enum Dialog {
    /// The keys, scrolled down by so many lines.
    Help(usize),
    /// A question, which yes or no answers.
    Confirm(Confirmed),
    /// Fields to fill in.
    Form(Form),
}

/// What a yes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// End the run in order.
    Stop,
    /// Clear the statistics; the run goes on.
    Reset,
    /// End the local run, and the program with it.
    EndRun,
    /// End the run and the master.
    EndMaster,
}

/// What a form is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormKind {
    /// Begins a run, or another one.
    Start,
    /// Another level for the run.
    Retarget,
}

/// Fields to fill in. Empty ones are left to the script, or to the settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    pub kind: FormKind,
    /// In the order of the screen.
    pub fields: Vec<Field>,
    /// Where the person types.
    pub at: usize,
    /// What is wrong with what was typed, and in which field.
    pub problem: Option<(usize, String)>,
    /// Whether the master has been asked, and has not answered yet.
    pub is_asked: bool,
    /// Why the master has not done it.
    pub refusal: Option<String>,
    /// What a re-target can change.
    levels: Vec<Level>,
}

/// A field that a person fills in.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: FieldName,
    /// As it was typed, right or not.
    pub text: String,
    /// What Left and Right choose from.
    pub choices: Vec<String>,
}

/// The fields of the forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldName {
    /// A script of the master's folder.
    Script,
    /// The base URL of the target.
    Host,
    /// Whose level it is, of a run of several profiles.
    Profile,
    /// How many users there shall be.
    Users,
    /// Iterations that are due per second, in place of users.
    Rate,
    /// Users that start per second.
    SpawnRate,
    /// How long the run shall take.
    RunTime,
}

impl FieldName {
    /// The label, and what an empty field of such a form means.
    #[must_use]
    pub const fn words(self, kind: FormKind) -> (&'static str, &'static str) {
        match self {
            Self::SpawnRate if matches!(kind, FormKind::Retarget) => ("Users per second", "as before"),
            Self::Rate if matches!(kind, FormKind::Start) => ("Iterations due", "in place of users: a number per second, or such as 30/m"),
            Self::Script => ("Script", "the default one"),
            Self::Host => ("Host", "the scenario's"),
            Self::Profile => ("Profile", "which one"),
            Self::Users => ("Users", "the scenario's load"),
            Self::Rate => ("Iterations due", "a number per second, or such as 30/m"),
            Self::SpawnRate => ("Users per second", "the settings'"),
            Self::RunTime => ("Run time", "the scenario's, or until stopped; such as 90s, 5m, 1h30m"),
        }
    }
}

/// What a form makes of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum FormAnswer {
    /// It takes more keys.
    Open,
    /// It is closed, and nothing is asked.
    Dropped,
    /// It is filled in, and stays until the master has answered.
    Done(Order),
}

impl Form {
    /// A form for a new run, with empty fields.
    #[must_use]
    pub fn start(scripts: &[String]) -> Self {
        let mut form =
            Self { kind: FormKind::Start, fields: Vec::new(), at: 0, problem: None, is_asked: false, refusal: None, levels: Vec::new() };
        let names = [FieldName::Script, FieldName::Host, FieldName::Users, FieldName::SpawnRate, FieldName::Rate, FieldName::RunTime];
        form.fields = names.into_iter().map(Field::empty).collect();
        form.offer_scripts(scripts);
        form
    }

    /// A form for another level of the run, filled with what it has.
    #[must_use]
    pub fn retarget(levels: Vec<Level>) -> Self {
        let mut form = Self { kind: FormKind::Retarget, fields: Vec::new(), at: 0, problem: None, is_asked: false, refusal: None, levels };
        let choices: Vec<String> = form.levels.iter().filter_map(|level| level.profile.clone()).collect();
        if let [first, _, ..] = choices.as_slice() {
            form.fields.push(Field { text: first.clone(), choices, ..Field::empty(FieldName::Profile) });
        }
        form.show_level();
        form
    }

    /// The level that the form is about: none as long as what is typed names no profile.
    fn level(&self) -> Option<&Level> {
        match self.fields.first() {
            Some(field) if field.name == FieldName::Profile => {
                self.levels.iter().find(|level| level.profile.as_deref() == Some(field.text.trim()))
            }
            _ => self.levels.first(),
        }
    }

    /// The fields of that level: users, or a rate.
    fn show_level(&mut self) {
        let Some(wanted) = self.level().map(|level| level.wanted) else { return };
        self.fields.retain(|field| field.name == FieldName::Profile);
        let name = if matches!(wanted, Wanted::Users(_)) { FieldName::Users } else { FieldName::Rate };
        self.fields.push(Field { text: wanted.text(), ..Field::empty(name) });
        if name == FieldName::Users {
            self.fields.push(Field::empty(FieldName::SpawnRate));
        }
    }

    /// Says which scripts there are.
    pub fn offer_scripts(&mut self, scripts: &[String]) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.name == FieldName::Script) {
            field.choices = scripts.to_vec();
        }
    }

    /// Takes a key in.
    pub fn on_key(&mut self, key: Key) -> FormAnswer {
        let count = self.fields.len();
        match key {
            Key::Esc | Key::Ctrl('c') => return FormAnswer::Dropped,
            // One answer is waited for at a time.
            _ if self.is_asked => {}
            Key::Enter => match self.read() {
                Ok(order) => {
                    (self.is_asked, self.problem, self.refusal) = (true, None, None);
                    return FormAnswer::Done(order);
                }
                Err((field, problem)) => {
                    self.at = field;
                    self.problem = Some((field, problem));
                }
            },
            Key::Tab | Key::Down => self.at = (self.at + 1) % count,
            Key::BackTab | Key::Up => self.at = (self.at + count - 1) % count,
            key => {
                (self.problem, self.refusal) = (None, None);
                self.fields[self.at].on_key(key);
                if self.fields[self.at].name == FieldName::Profile {
                    self.show_level();
                }
            }
        }
        FormAnswer::Open
    }

    /// The master has said no: what was typed stays.
    pub fn on_refusal(&mut self, why: String) {
        (self.is_asked, self.refusal) = (false, Some(why));
    }

    fn read(&self) -> Result<Order, (usize, String)> {
        let mut order = Order::default();
        for (index, field) in self.fields.iter().enumerate() {
            let text = field.text.trim();
            if text.is_empty() {
                continue;
            }
            let wrong = |problem: &str| (index, problem.to_owned());
            match field.name {
                FieldName::Script => order.script = Some(text.to_owned()),
                FieldName::Host => order.host = Some(text.to_owned()),
                FieldName::Profile => {}
                FieldName::Rate => order.rate = Some(text.to_owned()),
                FieldName::Users => {
                    let users = text.parse::<u32>().ok().filter(|users| *users > 0);
                    order.users = Some(users.ok_or_else(|| wrong("a whole number from 1 on, such as 50"))?);
                }
                FieldName::SpawnRate => {
                    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
                    order.spawn_rate = Some(rate.ok_or_else(|| wrong("a number above 0, such as 5 or 0.5"))?);
                }
                FieldName::RunTime => order.run_time = Some(text.to_owned()),
            }
        }
        if self.kind == FormKind::Start {
            let both = order.rate.is_some() && (order.users.is_some() || order.spawn_rate.is_some());
            let at = self.fields.iter().position(|field| field.name == FieldName::Rate).filter(|_| both);
            return at.map_or(Ok(order), |at| Err((at, "users or a rate, not both".to_owned())));
        }
        let Some(level) = self.level() else { return Err((0, "Left and Right choose one of the run's profiles".to_owned())) };
        order.profile.clone_from(&level.profile);
        if order.users.is_none() && order.rate.is_none() {
            let level = self.fields.iter().take_while(|field| field.name == FieldName::Profile).count();
            return Err((level, "how much there shall be".to_owned()));
        }
        Ok(order)
    }
}

impl Field {
    const fn empty(name: FieldName) -> Self {
        Self { name, text: String::new(), choices: Vec::new() }
    }

    fn on_key(&mut self, key: Key) {
        match key {
            Key::Char(letter) if self.text.chars().count() < TEXT_MAX && !letter.is_control() => self.text.push(letter),
            Key::Backspace => {
                self.text.pop();
            }
            Key::Ctrl('u') | Key::Delete => self.text.clear(),
            Key::Right => self.choose(1),
            Key::Left => self.choose(-1),
            _ => {}
        }
    }

    fn choose(&mut self, by: isize) {
        let count = self.choices.len() as isize;
        if count == 0 {
            return;
        }
        let at = self.choices.iter().position(|choice| *choice == self.text).map_or(if by > 0 { -1 } else { count }, |at| at as isize);
        self.text.clone_from(&self.choices[(at + by).rem_euclid(count) as usize]);
    }
}

/// Characters of one field.
const TEXT_MAX: usize = 512;
