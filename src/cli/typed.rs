//! The flags of settings: clap's arguments follow from the rows of `config`, and fill a layer with the texts that were typed.
//!
//! Which command takes which settings stands in `takes`.

use std::marker::PhantomData;

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::takes::{Part, Takes};
use crate::config::{Kind, Layer, Setting};

/// What was typed of the settings that `C` takes.
#[derive(Debug)]
pub(super) struct Typed<C> {
    pub(super) layer: Layer,
    taker: PhantomData<C>,
}

impl<C: Takes> Args for Typed<C> {
    fn augment_args(command: Command) -> Command {
        command.args(arguments::<C>().map(|(setting, part)| argument(setting, part)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C: Takes> FromArgMatches for Typed<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut typed = Self { layer: Layer::default(), taker: PhantomData };
        typed.update_from_arg_matches(matches)?;
        Ok(typed)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for (setting, _) in arguments::<C>() {
            for text in matches.get_many::<String>(setting.key()).into_iter().flatten() {
                self.layer.add_flag(setting, text);
            }
        }
        Ok(())
    }
}

fn arguments<C: Takes>() -> impl Iterator<Item = (Setting, &'static Part)> {
    C::PARTS.iter().flat_map(|part| Setting::ALL.iter().filter(|setting| part.has(**setting)).map(move |setting| (*setting, part)))
}

fn argument(setting: Setting, part: &Part) -> Arg {
    let row = setting.row();
    let argument = Arg::new(row.key)
        .long(setting.long())
        .short(row.short)
        .help(part.help().unwrap_or(row.help))
        .help_heading(part.heading())
        .value_name(row.value)
        .aliases(row.alias.into_iter().chain(part.alias()))
        .conflicts_with_all(row.excludes)
        .action(if matches!(row.kind, Kind::List | Kind::Pairs) { ArgAction::Append } else { ArgAction::Set });
    match (row.kind, row.bare) {
        (Kind::Switch, _) => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        (Kind::Amount, _) => argument.allow_negative_numbers(true),
        (_, Some(bare)) => argument.num_args(0..=1).default_missing_value(bare),
        _ => argument,
    }
}
