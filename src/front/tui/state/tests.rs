//! The screen answers events without a terminal: tabs, sorting, filters, forms, confirmations, and what is wished of the master.

use super::*;
use crate::front::snapshot_json::{ErrorJson, PointJson, ProfileJson};
use crate::front::tui::feed::Order;
use crate::front::tui::input::Key;

const NOW: Duration = Duration::from_secs(100);

fn entry(name: &str, requests: u64) -> EntryJson {
    EntryJson { method: "GET".into(), name: name.into(), requests, ..EntryJson::default() }
}

fn running() -> SnapshotJson {
    SnapshotJson {
        run: "00000000000000aa".into(),
        state: StateJson::Running,
        users: 50,
        target_users: 50,
        goal_users: 50,
        entries: vec![entry("/a", 3), entry("/b", 9), entry("/c", 6)],
        errors: vec![ErrorJson { method: "GET".into(), name: "/b".into(), occurrences: 2, ..ErrorJson::default() }],
        recent: vec![PointJson { at_s: 0.0, length_s: 1.0, ..PointJson::default() }],
        ..SnapshotJson::default()
    }
}

fn screen(door: Door) -> Screen {
    let mut screen = Screen::new(door, (80, 24));
    screen.on_event(Event::Snapshot(Arc::new(running())), NOW);
    screen
}

fn master() -> Screen {
    screen(Door::Attached { is_read_only: false })
}

fn press(screen: &mut Screen, keys: &str) -> Vec<Action> {
    keys.chars()
        .flat_map(|letter| {
            let key = match letter {
                '\r' => Key::Enter,
                '\x1b' => Key::Esc,
                '\t' => Key::Tab,
                letter => Key::Char(letter),
            };
            screen.on_event(Event::Key(key), NOW)
        })
        .collect()
}

fn names(screen: &Screen) -> Vec<&str> {
    screen.statistics.rows.iter().map(|row| screen.entry(*row).name.as_str()).collect()
}

#[test]
fn the_first_snapshot_asks_for_the_history_and_so_does_a_gap() {
    let mut screen = Screen::new(Door::Master, (80, 24));
    let first = Event::Snapshot(Arc::new(running()));
    assert_eq!(screen.on_event(first.clone(), NOW), [Action::Ask(Ask::History)]);
    assert_eq!(screen.on_event(first, NOW), []);
    let mut later = running();
    later.recent[0].at_s = 60.0;
    assert_eq!(screen.on_event(Event::Snapshot(Arc::new(later)), NOW), [Action::Ask(Ask::History)]);
}

#[test]
fn tables_are_sorted_by_any_column_and_the_place_follows_its_row() {
    let mut screen = master();
    press(&mut screen, "2");
    assert_eq!(names(&screen), ["/a", "/b", "/c"]);
    press(&mut screen, ">>>");
    assert_eq!(names(&screen), ["/b", "/c", "/a"], "by requests, the greatest first");
    screen.on_event(Event::Key(Key::Down), NOW);
    press(&mut screen, "o");
    assert_eq!((names(&screen), screen.statistics.at), (vec!["/a", "/c", "/b"], 1));
    let mut later = running();
    later.entries[2].requests = 100;
    screen.on_event(Event::Snapshot(Arc::new(later)), NOW);
    assert_eq!((names(&screen), screen.statistics.at), (vec!["/a", "/b", "/c"], 2));
    press(&mut screen, "<");
    assert_eq!(names(&screen), ["/a", "/b", "/c"], "by name");
}

#[test]
fn a_filter_is_typed_kept_and_dropped() {
    let mut screen = master();
    press(&mut screen, "2/GET /B");
    assert_eq!((names(&screen), screen.is_filtering), (vec!["/b"], true));
    press(&mut screen, "\r");
    assert_eq!((names(&screen), screen.is_filtering), (vec!["/b"], false));
    press(&mut screen, "\x1b");
    assert_eq!(names(&screen), ["/a", "/b", "/c"]);
    // A key that means something elsewhere is a letter here.
    assert_eq!(press(&mut screen, "/qx"), []);
}

#[test]
fn an_entry_is_asked_for_when_it_is_opened_and_with_each_snapshot() {
    let mut screen = master();
    press(&mut screen, "2");
    screen.on_event(Event::Key(Key::End), NOW);
    let ask = Action::Ask(Ask::Detail { method: "GET".into(), name: "/c".into() });
    assert_eq!(press(&mut screen, "\r"), std::slice::from_ref(&ask));
    assert_eq!(screen.on_event(Event::Snapshot(Arc::new(running())), NOW), [ask]);
    let wrong = EntryDetailJson { entry: entry("/a", 3), ..EntryDetailJson::default() };
    screen.on_event(Event::Detail(Box::new(wrong)), NOW);
    assert!(screen.detail.as_ref().unwrap().entry.is_none(), "an answer that comes late is of another entry");
    let right = EntryDetailJson { entry: entry("/c", 6), ..EntryDetailJson::default() };
    screen.on_event(Event::Detail(Box::new(right)), NOW);
    assert!(screen.detail.as_ref().unwrap().entry.is_some());
    press(&mut screen, "\x1b");
    assert!(screen.detail.is_none());
}

#[test]
fn what_would_lose_something_is_asked_before() {
    let mut screen = master();
    assert_eq!(press(&mut screen, "x"), []);
    assert_eq!(press(&mut screen, "n"), [], "anything but y leaves it");
    assert_eq!(screen.dialog, None);
    assert_eq!(press(&mut screen, "xy"), [Action::Ask(Ask::Stop)]);
    assert_eq!(press(&mut screen, "ry"), [Action::Ask(Ask::Reset)]);
}

#[test]
fn leaving_stops_a_local_run_after_a_question_and_no_other() {
    assert_eq!(press(&mut master(), "q"), [Action::Leave]);
    assert_eq!(press(&mut screen(Door::Master), "q"), [Action::Leave]);
    let mut local = screen(Door::Run);
    assert_eq!(press(&mut local, "q"), []);
    assert_eq!(press(&mut local, "y"), [Action::Interrupt]);
    let interrupt = |door| screen(door).on_event(Event::Key(Key::Ctrl('c')), NOW);
    assert_eq!(interrupt(Door::Attached { is_read_only: true }), [Action::Leave]);
    assert_eq!(interrupt(Door::Run), [Action::Interrupt]);
    let words = |screen: &Screen| screen.notice.as_ref().map(|notice| notice.text.clone()).unwrap_or_default();
    assert!(words(&local).contains("Ctrl-C once more"), "{}", words(&local));
    local.on_event(Event::Snapshot(Arc::new(SnapshotJson { state: StateJson::Stopping, ..running() })), NOW);
    assert_eq!(local.on_event(Event::Key(Key::Ctrl('c')), NOW), [Action::Interrupt]);
    assert!(words(&local).starts_with("cut"), "{}", words(&local));
    assert_eq!(interrupt(Door::Master), []);
    let mut owner = screen(Door::Master);
    owner.on_event(Event::Key(Key::Ctrl('c')), NOW);
    assert_eq!(owner.on_event(Event::Key(Key::Ctrl('c')), NOW), [Action::Interrupt]);
}

#[test]
fn plus_and_minus_ask_once_after_the_last_press() {
    let mut screen = master();
    assert_eq!(press(&mut screen, "++-"), []);
    assert_eq!(screen.wanted.map(|(wanted, _)| wanted), Some(Wanted::Users(54)));
    let at = screen.wakes_at().unwrap();
    assert_eq!(screen.on_event(Event::Tick, at - Duration::from_millis(1)), []);
    let order = Order { users: Some(54), ..Order::default() };
    assert_eq!(screen.on_event(Event::Tick, at), [Action::Ask(Ask::Retarget(order))]);
    assert_eq!(screen.on_event(Event::Tick, at * 2), []);
}

/// One of arrivals, of 20 iterations a second, and one of five users.
fn two_profiles() -> Vec<ProfileJson> {
    let profile = |name: &str| ProfileJson { name: name.into(), goal_users: 5, ..ProfileJson::default() };
    vec![ProfileJson { rate_wanted: Some(20.0), ..profile("buy") }, profile("browse")]
}

#[test]
fn plus_asks_a_run_of_arrivals_for_another_rate() {
    let mut screen = master();
    let mut snapshot = running();
    snapshot.iterations.rate_wanted = Some(20.0);
    screen.on_event(Event::Snapshot(Arc::new(snapshot)), NOW);
    press(&mut screen, "++");
    let at = screen.wakes_at().unwrap();
    let order = Order { rate: Some("24.2".into()), ..Order::default() };
    assert_eq!(screen.on_event(Event::Tick, at), [Action::Ask(Ask::Retarget(order))]);
    press(&mut screen, "t");
    let Some(Dialog::Form(form)) = &screen.dialog else { panic!("the form is gone") };
    let fields: Vec<_> = form.fields.iter().map(|field| (field.name, field.text.as_str())).collect();
    assert_eq!(fields, [(dialog::FieldName::Rate, "24.2")], "users of a run of arrivals are made as they are needed");
    screen.on_event(Event::Key(Key::Ctrl('u')), NOW);
    let order = Order { rate: Some("90/m".into()), ..Order::default() };
    assert_eq!(press(&mut screen, "90/m\r"), [Action::Ask(Ask::Retarget(order))]);
}

#[test]
fn each_of_several_profiles_has_a_level_of_its_own() {
    let mut screen = master();
    let snapshot = SnapshotJson { profiles: two_profiles(), ..running() };
    screen.on_event(Event::Snapshot(Arc::new(snapshot)), NOW);
    press(&mut screen, "+");
    assert_eq!(screen.wanted, None);
    assert!(screen.notice.as_ref().unwrap().text.contains("t changes the load of one of them"));
    press(&mut screen, "t");
    screen.on_event(Event::Key(Key::Right), NOW);
    let Some(Dialog::Form(form)) = &screen.dialog else { panic!("the form is gone") };
    let texts: Vec<_> = form.fields.iter().map(|field| field.text.as_str()).collect();
    assert_eq!(texts, ["browse", "5", ""]);
    let order = Order { users: Some(57), profile: Some("browse".into()), ..Order::default() };
    assert_eq!(press(&mut screen, "\t7\r"), [Action::Ask(Ask::Retarget(order))]);
    screen.on_event(Event::Answered(Ok("on their way".into())), NOW);
    press(&mut screen, "t");
    let order = Order { rate: Some("209".into()), profile: Some("buy".into()), ..Order::default() };
    assert_eq!(press(&mut screen, "\t9\r"), [Action::Ask(Ask::Retarget(order))]);
    screen.on_event(Event::Answered(Err("no".into())), NOW);
}

#[test]
fn users_are_typed_into_a_form_that_says_what_is_wrong() {
    let mut screen = master();
    press(&mut screen, "t");
    screen.on_event(Event::Key(Key::Ctrl('u')), NOW);
    assert_eq!(press(&mut screen, "0\r"), []);
    let Some(Dialog::Form(form)) = &screen.dialog else { panic!("the form is gone") };
    assert_eq!(form.problem, Some((0, "a whole number from 1 on, such as 50".to_owned())));
    screen.on_event(Event::Key(Key::Backspace), NOW);
    let order = Order { users: Some(120), spawn_rate: Some(2.5), ..Order::default() };
    assert_eq!(press(&mut screen, "120\t2.5\r"), [Action::Ask(Ask::Retarget(order))]);
    screen.on_event(Event::Answered(Ok("on their way".into())), NOW);
    assert_eq!(screen.dialog, None);
}

#[test]
fn a_run_is_started_from_a_form_whose_script_is_chosen() {
    let mut screen = master();
    screen.on_event(Event::Snapshot(Arc::default()), NOW);
    assert_eq!(press(&mut screen, "n"), [Action::Ask(Ask::Scripts)]);
    screen.on_event(Event::Scripts(vec!["main".into(), "shop".into()]), NOW);
    screen.on_event(Event::Key(Key::Left), NOW);
    let order = Order { script: Some("shop".into()), users: Some(5), run_time: Some("1m".into()), ..Order::default() };
    assert_eq!(press(&mut screen, "\t\t5\t\t\t1m\r"), [Action::Ask(Ask::Start(order))]);
}

#[test]
fn a_run_is_started_with_a_rate_in_place_of_users_and_not_with_both() {
    let mut screen = master();
    screen.on_event(Event::Snapshot(Arc::default()), NOW);
    press(&mut screen, "n");
    assert_eq!(press(&mut screen, "\t\t5\t\t30/m\r"), []);
    let Some(Dialog::Form(form)) = &screen.dialog else { panic!("the form is gone") };
    assert_eq!(form.problem, Some((4, "users or a rate, not both".to_owned())));
    let up_to_users = [Key::Up, Key::Up, Key::Backspace];
    up_to_users.into_iter().for_each(|key| drop(screen.on_event(Event::Key(key), NOW)));
    let order = Order { rate: Some("30/m".into()), ..Order::default() };
    assert_eq!(press(&mut screen, "\r"), [Action::Ask(Ask::Start(order))]);
}

#[test]
fn what_was_typed_stays_when_the_master_says_no() {
    let mut screen = master();
    screen.on_event(Event::Snapshot(Arc::default()), NOW);
    press(&mut screen, "n\t\t5\r");
    assert_eq!(press(&mut screen, "7\r"), [], "one answer is waited for at a time");
    screen.on_event(Event::Answered(Err("no worker is ready".into())), NOW);
    let Some(Dialog::Form(form)) = &screen.dialog else { panic!("the form is gone") };
    assert_eq!((form.refusal.as_deref(), form.fields[2].text.as_str()), (Some("no worker is ready"), "5"));
    let order = Order { users: Some(50), ..Order::default() };
    assert_eq!(press(&mut screen, "0\r"), [Action::Ask(Ask::Start(order))]);
    press(&mut screen, "\x1b");
    assert_eq!(screen.dialog, None, "nobody has to wait");
    screen.on_event(Event::Answered(Err("too late".into())), NOW);
    assert!(screen.notice.as_ref().unwrap().is_error);
}

#[test]
fn plus_counts_from_what_was_asked_for_while_users_are_on_their_way() {
    let mut screen = master();
    let snapshot =
        |state, users, goal_users| Event::Snapshot(Arc::new(SnapshotJson { state, users, target_users: users, goal_users, ..running() }));
    press(&mut screen, "++++");
    let at = screen.wakes_at().unwrap();
    screen.on_event(Event::Tick, at);
    assert_eq!(screen.goal, Some(Wanted::Users(72)));
    screen.on_event(snapshot(StateJson::Running, 50, 50), at);
    assert_eq!(screen.goal, Some(Wanted::Users(72)), "this snapshot was on its way when it was asked for");
    screen.on_event(snapshot(StateJson::Spawning, 52, 72), at);
    assert_eq!(screen.goal, None);
    press(&mut screen, "+");
    assert_eq!(screen.wanted.map(|(wanted, _)| wanted), Some(Wanted::Users(79)), "a tenth more than 72, not than 52");
}

#[test]
fn a_goal_is_forgotten_when_it_was_refused_or_others_went_elsewhere() {
    let goal = |screen: &mut Screen| {
        press(screen, "+");
        screen.on_event(Event::Tick, NOW * 2);
        assert_eq!(screen.goal, Some(Wanted::Users(55)));
    };
    let mut screen = master();
    goal(&mut screen);
    screen.on_event(Event::Answered(Err("no".into())), NOW);
    assert_eq!(screen.goal, None);
    goal(&mut screen);
    (0..=4).for_each(|_| drop(screen.on_event(Event::Snapshot(Arc::new(running())), NOW)));
    assert_eq!(screen.goal, None, "the run is on its way to 50");
    goal(&mut screen);
    screen.on_event(Event::Snapshot(Arc::new(SnapshotJson { state: StateJson::Stopped, ..running() })), NOW);
    assert_eq!(screen.goal, None);
}

#[test]
fn who_may_only_look_changes_nothing() {
    let mut screen = screen(Door::Attached { is_read_only: true });
    for key in ["n", "t", "+", "-", "p", "x", "r"] {
        assert_eq!(press(&mut screen, key), [], "{key}");
        assert_eq!((screen.dialog.take(), screen.wanted), (None, None), "{key}");
        assert!(screen.notice.as_ref().unwrap().is_error);
    }
    assert_eq!(press(&mut screen, "q"), [Action::Leave]);
}

#[test]
fn pause_becomes_resume() {
    let mut screen = master();
    assert_eq!(press(&mut screen, "p"), [Action::Ask(Ask::Pause)]);
    screen.on_event(Event::Snapshot(Arc::new(SnapshotJson { state: StateJson::Paused, ..running() })), NOW);
    assert_eq!(press(&mut screen, "p"), [Action::Ask(Ask::Resume)]);
}

#[test]
fn a_link_that_comes_back_fetches_what_was_missed() {
    let mut screen = master();
    screen.on_event(Event::LinkDown("refused".into()), NOW);
    screen.on_event(Event::LinkDown("still refused".into()), NOW * 2);
    assert_eq!(screen.link_down, Some(("still refused".into(), NOW)));
    assert_eq!(screen.on_event(Event::LinkUp, NOW), [Action::Ask(Ask::History)]);
    assert_eq!(screen.on_event(Event::LinkUp, NOW), []);
}

#[test]
fn numbers_grow_old_while_nothing_new_comes_and_those_of_a_run_that_is_over_do_not() {
    let second = Duration::from_secs(1);
    let mut screen = master();
    let heard = Event::Snapshot(Arc::new(SnapshotJson { elapsed_s: 7.0, ..running() }));
    screen.on_event(heard, NOW);
    screen.take_dirty();
    screen.on_event(Event::Tick, NOW + 2 * second);
    assert_eq!((screen.age(), screen.take_dirty()), (2 * second, false));
    screen.on_event(Event::Tick, NOW + 4 * second);
    assert_eq!((screen.age(), screen.take_dirty()), (4 * second, true));
    screen.on_event(Event::Snapshot(Arc::new(SnapshotJson { elapsed_s: 8.0, ..running() })), NOW + 5 * second);
    assert_eq!(screen.age(), Duration::ZERO);
    screen.on_event(Event::Snapshot(Arc::new(SnapshotJson { state: StateJson::Stopped, elapsed_s: 8.0, ..running() })), NOW + 6 * second);
    screen.on_event(Event::Tick, NOW + 60 * second);
    assert_eq!(screen.age(), Duration::ZERO);
}

#[test]
fn the_log_stays_where_its_reader_is_and_within_bounds() {
    let lines = |count: usize| Event::Logs(vec![LogEntry::default(); count]);
    let mut screen = master();
    press(&mut screen, "6");
    screen.on_event(lines(100), NOW);
    screen.on_event(Event::Key(Key::Up), NOW);
    screen.on_event(lines(5), NOW);
    assert_eq!(screen.log_back, 6);
    screen.on_event(Event::Key(Key::End), NOW);
    assert_eq!(screen.log_back, 0);
    screen.on_event(lines(3_000), NOW);
    assert_eq!(screen.logs.len(), LOG_LINES);
    // The oldest lines fill the body at the end of the way: 19 rows, of which the first line takes three.
    screen.logs[0].text = "word ".repeat(30);
    screen.on_event(Event::Key(Key::Home), NOW);
    assert_eq!(screen.log_back, LOG_LINES - 17);
}

#[test]
fn nothing_is_drawn_anew_without_a_change() {
    let mut screen = master();
    assert!(screen.take_dirty());
    screen.on_event(Event::Tick, NOW);
    assert!(!screen.take_dirty());
    screen.on_event(Event::Answered(Err("no".into())), NOW);
    assert!(screen.take_dirty());
    let until = screen.wakes_at().unwrap();
    screen.on_event(Event::Tick, until);
    assert!(screen.take_dirty() && screen.notice.is_none());
}

#[test]
fn hostile_sizes_and_empty_tables_do_no_harm() {
    for size in [(0, 0), (1, 1), (40, 10), (500, 200)] {
        let mut screen = Screen::new(Door::Master, size);
        for tab in "123456".chars() {
            for key in [Key::Char(tab), Key::Up, Key::PageDown, Key::End, Key::Home, Key::Char('>'), Key::Char('o'), Key::Enter] {
                screen.on_event(Event::Key(key), NOW);
            }
        }
        screen.on_event(Event::Resize(3, 3), NOW);
    }
}
