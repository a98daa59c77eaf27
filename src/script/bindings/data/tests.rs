//! Rows as scripts see them.

use super::super::testing::judges;
use crate::script::testing::Script;

const FILES: [(&str, &str); 5] = [
    ("users.csv", "user,password\nada,007\nbob,\"a,b\"\ncleo,x\n"),
    ("bare.csv", "1;2\n3;4\n"),
    ("items.json", "[{\"id\": 7, \"tags\": [\"a\"]}, {\"id\": 8, \"big\": 9007199254740993}]"),
    ("orders.jsonl", "{\"id\": 1}\n{\"id\": 2}\n"),
    ("words.txt", "one\ntwo\n\nthree\n"),
];

fn script(top: &str, body: &str) -> Script {
    let source = format!("local data, check = require 'data', require 'check' {top}\nreturn function(self)\n{body}\nend");
    FILES.iter().fold(Script::new(&source), |script, (name, content)| script.with_file(name, content))
}

/// What users 0, 1, ... raise, each after so many iterations.
fn raised(script: &Script, users: u64, iterations: usize) -> Option<String> {
    let lane = script.lane();
    for index in 0..users {
        lane.live(index, iterations);
    }
    lane.exceptions().into_iter().next().map(|exception| exception.0)
}

const USERS: &str = "local users = data.csv 'users.csv'";

#[test]
fn rows_are_had_by_position_and_their_fields_by_name() {
    let top = "local users, bare, items = data.csv 'users.csv', data.csv('bare.csv', { header = false, delimiter = ';' }), data.json 'items.json'
               local orders, words = data.jsonl 'orders.jsonl', data.lines 'words.txt'
               assert(#users == 3 and users[2].password == 'a,b')";
    let body = "assert(#users == 3 and users[1].user == 'ada' and users[1].password == '007' and users[3].user == 'cleo')
                assert(users[0] == nil and users[4] == nil and users[1.5] == nil and users[-1] == nil and users[2^60] == nil)
                assert(#bare == 2 and bare[2][1] == '3' and bare[1][2] == '2')
                assert(#items == 2 and items[1].id == 7 and items[1].tags[1] == 'a' and items[2].id == 8 and items[2].big == '9007199254740993')
                local names = '' for position, row in ipairs(users) do names = names .. position .. row.user end assert(names == '1ada2bob3cleo')
                local lines = 0 for position, line in pairs(words) do lines = lines + 1 assert(words[position] == line) end assert(lines == 3)
                assert(#orders == 2 and orders[2].id == 2 and #words == 3 and words[3] == 'three')
                local row = users[1] row.user = 'mine' assert(users[1].user == 'ada')";
    assert_eq!(raised(&script(top, body), 1, 1), None);
}

#[test]
fn each_user_has_the_row_of_its_index_and_its_own_round() {
    let body = "local names = { 'ada', 'bob', 'cleo' }
                assert(users:of(self).user == names[self.index + 1] and users:of(self).user == names[self.index + 1])
                for step = 0, 6 do assert(users:cycle(self).user == names[(self.index + (self.iteration - 1) * 7 + step) % 3 + 1]) end
                local seen = {} for _ = 1, 100 do seen[users:random().user] = true end
                assert(seen.ada and seen.bob and seen.cleo)";
    assert_eq!(raised(&script(USERS, body), 3, 2), None);
}

#[test]
fn beyond_the_last_row_it_is_as_at_end_says() {
    let said = raised(&script(USERS, "users:of(self)"), 4, 1).unwrap();
    assert_eq!(
        said,
        "test.lua:3: rows:of: `users.csv` has 3 rows, and this is user number 4: give it more rows, or open it with at_end = \"cycle\" (rows are used again) or \"stop\" (users without a row end)"
    );
    let cycle = "local users = data.csv('users.csv', { at_end = 'cycle' })";
    assert_eq!(raised(&script(cycle, "if self.index == 4 then assert(users:of(self).user == 'bob') end"), 5, 1), None);
    let stop = script("local users = data.csv('users.csv', { at_end = 'stop' })", "pcall(users.of, users, self) check.that('went on', true)");
    let lane = stop.lane();
    let steps = lane.live(3, 1);
    assert!(steps[1].ended && steps[1].interrupted && !steps[1].raised, "{steps:?}");
    assert!(lane.tally().checks.is_empty());
    assert!(!lane.live(2, 1)[1].ended);
}

#[test]
fn each_row_is_taken_once_and_then_it_is_as_at_end_says() {
    let taking = |options: &str| script(&format!("local users = data.csv('users.csv', {options})"), "check.that(users:take(self).user, true)");
    let stop = taking("{ at_end = 'stop' }").lane();
    let ended: Vec<_> = (0..2).flat_map(|user| stop.live(user, 2)).filter(|step| step.ended).map(|step| step.interrupted).collect();
    assert_eq!(ended, [true], "the fourth of three");
    assert_eq!(stop.tally().checks.values().map(|check| check.passes).collect::<Vec<_>>(), [1, 1, 1]);
    let said = raised(&taking("{}"), 4, 1).unwrap();
    assert!(said.starts_with("test.lua:3: rows:take: all 3 rows of `users.csv` are taken: give it more rows"), "{said}");
    let cycle = taking("{ at_end = 'cycle' }").lane();
    for user in 0..6 {
        cycle.live(user, 1);
    }
    assert_eq!(cycle.tally().checks.values().map(|check| check.passes).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn what_is_wrong_is_said_where_the_script_is_loaded() {
    for (top, why) in [
        ("data.csv 'none.csv'", "data.csv: there is no file `none.csv` in `"),
        ("data.csv '../users.csv'", "is no name of a file"),
        ("data.csv '/etc/passwd'", "is no name of a file"),
        ("data.csv '.hidden'", "is no name of a file"),
        ("data.csv('bare.csv', { delimiter = ',' , header = { 'a', 'b' } })", "data.csv: `bare.csv`: line 1: 1 field, where the header has 2"),
        ("data.csv('users.csv', { header = {} })", "`header` must be true"),
        ("data.csv('users.csv', { header = { 'a', 'a' } })", "two columns are called `a`"),
        ("data.csv('users.csv', { delimiter = ';;' })", "`delimiter` must be one character"),
        ("data.csv('users.csv', { quote = true })", "`quote` must be one character, or false"),
        ("data.csv('users.csv', { at_end = 'halt' })", "`at_end` must be \"error\", \"cycle\" or \"stop\", got `halt`"),
        ("data.csv('users.csv', { separator = ';' })", "data.csv has no `separator`"),
        ("data.json 'users.csv'", "data.json: `users.csv`: "),
        ("data.jsonl 'words.txt'", "data.jsonl: `words.txt`: line 1: "),
        ("data.lines('words.txt', { header = false })", "data.lines has no `header`"),
        ("data.csv('users.csv'):of({ index = 0 })", "rows:of() is not possible while the script is loaded"),
        ("data.csv('users.csv'):random()", "rows:random() is not possible while the script is loaded"),
    ] {
        let said = script(top, "").refused();
        assert!(said.contains(why) && said.contains("test.lua:1: "), "{top}: {said}");
    }
    for (body, why) in [
        ("data.csv 'users.csv'", "data.csv: files are read while the script is loaded: open them at its top"),
        ("users:tkae(self)", "rows have no `tkae`, did you mean `take`?"),
        ("users.of(self)", "rows:of: call it with a colon, on rows"),
        ("users:of()", "rows:of: give it the user, as in rows:of(self); got nil"),
        ("users[1] = {}", "rows are read-only"),
    ] {
        let said = raised(&script(USERS, body), 1, 1).unwrap();
        assert!(said.starts_with("test.lua:3: ") && said.contains(why), "{body}: {said}");
    }
}

#[test]
fn values_are_taken_or_refused() {
    // No file is called so: what is taken is refused for that, and at the load only.
    for name in ["csv", "json", "jsonl", "lines"] {
        for value in ["7", "1.5", "nil", "true", "{}", "print", "''"] {
            let said = script(&format!("data.{name}({value})"), "").refused();
            assert!(said.contains(&format!("test.lua:1: data.{name}: the file's name must be a string")), "{said}");
        }
    }
    for (option, good, bad) in [
        ("at_end", ["'cycle'", "nil"], ["7", "true"]),
        ("header", ["true", "{ 'x', 'y' }"], ["7", "'x'"]),
        ("delimiter", ["','", "nil"], ["7", "false"]),
        ("quote", ["'\"'", "false"], ["7", "{}"]),
    ] {
        for value in good {
            let taken = script(&format!("data.csv('bare.csv', {{ {option} = {value} }})"), "").load();
            assert!(taken.is_ok(), "{option} = {value}: {taken:?}");
        }
        for value in bad {
            let said = script(&format!("data.csv('bare.csv', {{ {option} = {value} }})"), "").refused();
            assert!(said.contains("test.lua:1: data.csv: `") && said.contains(option), "{said}");
        }
    }
    judges("data.csv(%)", &[]);
}

#[test]
fn a_file_of_another_folder_is_part_of_the_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let print = |content: &str| {
        std::fs::write(folder.path().join("far.csv"), content).unwrap();
        let script = script("local far = data.csv 'far.csv' assert(#far == 1)", "");
        let options = crate::script::LoadOptions { data: Some(folder.path().to_owned()), ..Default::default() };
        crate::script::Host::load(&script.folder().join("test.lua"), &options).unwrap().description().fingerprint.clone()
    };
    let first = print("x\n1\n");
    assert_eq!(print("x\n1\n"), first);
    assert_ne!(print("x\n2\n"), first);
}
