//! Several load profiles in a script: what they describe, what is said of those that are wrong, and what users know of theirs.

use std::time::Duration;

use super::super::testing::{Script, block_on};
use crate::load::VirtualUser as _;
use crate::plan::{LoadProfile, ProfileEnd, TagFilter};

const HEAD: &str = "local scenario, http = require 'scenario', require 'http'\n\
    local A = scenario.user { name = 'A' }\nA:task('a', { tags = { 'read' } }, function(self) http.get('http://127.0.0.1:1/' .. (self.profile or 'none')) end)\n\
    local B = scenario.user { name = 'B' }\nB:task('b', function() http.client({ timeout = '1s' }).get('http://127.0.0.1:1/b', { tags = { team = 'x' } }) end)\n";

fn script(load: &str) -> Script {
    Script::new(&format!("{HEAD}return scenario {{ users = {{ A, B }}, load = {load} }}"))
}

const THREE: &str = "{ zoo = scenario.ramp { { users = 2 }, { hold = '5s' }, start = '3s', classes = A },
    arrive = scenario.arrivals { { rate = '5/s' }, { hold = 9 }, start = 1, tags = { kind = 'read', paid = true } },
    count = scenario.iterations { users = 2, total = 9, within = '1m', start = 2, classes = { B, A } } }";

#[test]
fn profiles_stand_in_the_order_of_their_names_each_with_its_classes_tags_and_begin() {
    let host = script(THREE).load().unwrap();
    let profile = host.description().profile.clone().unwrap();
    let [arrive, count, zoo] = profile.named() else { panic!("{profile:?}") };
    assert_eq!([&arrive.name, &count.name, &zoo.name], ["arrive", "count", "zoo"]);
    assert_eq!((&arrive.classes[..], &count.classes[..], &zoo.classes[..]), (&[][..], &["B".into(), "A".into()][..], &["A".into()][..]));
    assert_eq!(arrive.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>(), ["kind:read", "paid:true"]);
    let seconds = Duration::from_secs;
    let ends = [arrive, count, zoo].map(|named| named.profile.end());
    assert_eq!(ends, [10, 62, 8].map(|end| ProfileEnd::StopAt(seconds(end))));
    let LoadProfile::Iterations(count) = &count.profile else { panic!("{count:?}") };
    assert_eq!(count.start, seconds(2));
}

#[test]
fn one_profile_alone_needs_no_name_and_keeps_the_one_that_it_has() {
    let plain = script("scenario.ramp { { users = 2 }, { hold = 5 }, start = 3 }").load().unwrap();
    assert_eq!(
        plain.description().profile.as_ref().map(|profile| (profile.named().len(), profile.end())),
        Some((0, ProfileEnd::StopAt(Duration::from_secs(8))))
    );
    let named = script("scenario.steps { from = 1, step = 1, every = 1, to = 2, name = 'stairs' }").load().unwrap();
    assert_eq!(named.description().profile.as_ref().and_then(|profile| profile.name_of(0)), Some("stairs"));
    let list = script(
        "{ scenario.ramp { { users = 1 }, { hold = 1 }, name = 'b' }, a = scenario.spike { base = 1, peak = 2, at = 1, over = 1 } }",
    );
    let profile = list.load().unwrap().description().profile.clone().unwrap();
    assert_eq!((profile.name_of(0), profile.name_of(1)), (Some("b"), Some("a")));
}

#[test]
fn mistakes_in_a_load_of_several_profiles_are_told_in_one_line_at_the_scripts_own() {
    let ramp = "scenario.ramp { { users = 1 }, { hold = 1 }";
    for (load, told) in [
        ("{}".to_owned(), "several by name: { browse = scenario.ramp { ... }, buy = scenario.arrivals { ... } }; the table is empty"),
        ("{ a = 5 }".to_owned(), "`a` is no profile, but a number"),
        ("7".to_owned(), "load must be a profile such as scenario.ramp { ... }, or several by name"),
        (format!("{{ {ramp} }} }}"), "profile 1 of the list has no name: give it one, scenario.ramp { ..., name = \"browse\" }"),
        (format!("{{ {ramp}, name = 'x' }}, x = {ramp} }} }}"), "two profiles have the name `x`: names must be unique"),
        (format!("{{ a = {ramp}, name = 'b' }} }}"), "profile `a` calls itself `b`: leave one of the names out"),
        (format!("{{ ['a,b'] = {ramp} }} }}"), "must be a text of 1 to 64 bytes without braces, commas, colons and quotes, not \"a,b\""),
        (format!("{ramp}, name = 5 }}"), "test.lua:6: scenario.ramp: name must be a text of 1 to 64 bytes"),
        (format!("{{ a = {ramp}, classes = {{ A }} }} }}"), "class `B` is in no profile, and would have no user"),
        (format!("{ramp}, classes = {{}} }}"), "classes must be a list of user classes, such as { Shopper }, not an empty one"),
        (format!("{ramp}, classes = {{ 'A' }} }}"), "classes must be a list of user classes made by scenario.user, not of a string"),
        (
            format!("{ramp}, classes = {{ A, scenario.user {{ name = 'C' }} }} }}"),
            "load has a class `C` that is not among the scenario's users",
        ),
        (
            format!("{{ a = {ramp}, classes = {{ A, scenario.user {{}} }} }} }}"),
            "profile `a` has a class that is not among the scenario's users",
        ),
        (format!("{ramp}, class = {{ A }} }}"), "scenario.ramp has no `class`: it knows name, classes, start, tags"),
        (format!("{ramp}, start = -1 }}"), "scenario.ramp: start: a duration is"),
        (format!("{{ a = {ramp}, tags = {{ kind = 'a,b' }} }} }}"), "the tag `kind` has the value"),
        (format!("{{ a = {ramp}, tags = {{ profile = 'x' }} }} }}"), "`profile` has a meaning of its own in selectors"),
        (
            format!("{{ a = {ramp}, tags = 'x' }} }}"),
            "scenario.ramp: tags must be a table of names and values, such as { kind = \"read\" }, not a string",
        ),
        (format!("{ramp}, tags = {{ kind = 'x' }} }}"), "a profile with tags needs a name, too"),
        (
            format!("{{ a = {ramp} }}, b = scenario.shape(function() return {{ users = 1 }} end, {{ strat = 3 }}) }}"),
            "scenario.shape has no `strat`, did you mean `start`?",
        ),
        ("scenario.shape(function() return { users = 1 } end, 5)".to_owned(), "behind the function must be a table such as"),
        (
            "{ a = scenario.shape(function(t) if t < 60 then return { users = 1 } end end, { start = '1m' }) }".to_owned(),
            "the function returns nil at 60 s, and the run would have no length",
        ),
        ("scenario.iterations { users = 1, each = 1, starts = 3 }".to_owned(), "has no `starts`, did you mean `start`?"),
        ("{ a = scenario.arrivals { { rate = 1 }, { hold = 1 }, strat = 3 } }".to_owned(), "has no `strat`, did you mean `start`?"),
    ] {
        let refused = script(&load).refused();
        assert!(refused.contains(told) && refused.contains("test.lua"), "{load}: {refused}");
    }
}

#[test]
fn users_know_their_profile_and_their_requests_bear_its_tags() {
    let lane = script(THREE).lane();
    let names: Vec<String> = block_on(async {
        // Of the first profile, and of the last; the second class is one of the first profile's.
        for (class, index) in [(0, 3), (0, 5), (1, 6)] {
            let (mut user, _control) = lane.user_of(class, index);
            user.iterate().await;
        }
        lane.tally().entries.keys().map(|entry| entry.name.to_string()).collect()
    });
    assert_eq!(
        names,
        [
            "127.0.0.1:1/arrive {kind:read,paid:true,profile:arrive}",
            "127.0.0.1:1/zoo {profile:zoo}",
            "127.0.0.1:1/b {kind:read,paid:true,profile:arrive,team:x}"
        ]
    );
    let plain = script("scenario.ramp { { users = 2 }, { hold = 5 } }").lane();
    plain.live(0, 1);
    assert_eq!(plain.tally().entries.keys().map(|entry| entry.name.to_string()).collect::<Vec<_>>(), ["127.0.0.1:1/none"]);
}

#[test]
fn a_profile_none_of_whose_classes_has_a_task_left_does_not_run() {
    let load = "{ a = scenario.ramp { { users = 1 }, { hold = 1 }, classes = A }, b = scenario.ramp { { users = 1 }, { hold = 1 }, classes = { B } } }";
    let mut script = script(load);
    script.tags = TagFilter { include: vec!["read".into()], exclude: vec![] };
    let host = script.load().unwrap();
    let told = host.description();
    assert_eq!((&told.left_out[..], &told.left_out_profiles[..]), (&["B".to_owned()][..], &["b".to_owned()][..]));
    assert_eq!(
        told.profile.as_ref().map(|profile| profile.named().iter().map(|named| named.name.as_str()).collect::<Vec<_>>()),
        Some(vec!["a"])
    );
}
