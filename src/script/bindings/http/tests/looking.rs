//! Packed bodies: unpacked when somebody looks first, never before, and judged aside where that takes long.

use super::server::large_json;
use super::*;

/// Mean length of the bodies of the one entry, and whether anything was unpacked.
fn bodies(tally: &Tally) -> (u64, u64, bool) {
    let hops = &tally.entries.values().next().unwrap().hops;
    (hops.body_bytes, hops.bodies_unknown, !tally.events.unpacking.is_zero())
}

#[test]
fn a_packed_body_that_nobody_looks_at_is_not_unpacked() {
    let server = Server::start();
    for (path, known, unknown) in
        [("gzip/large", large_json().len() as u64, 0), ("gzip/bomb", 4 << 20, 0), ("gzip/cut", 0, 1), ("br/large", 0, 1), ("br/bomb", 0, 1)]
    {
        for options in ["", ", discard = true"] {
            let tally =
                run(&server, &format!("local r = http.get('/packed/{path}', {{ name = 'p'{options} }})\nassert(r.ok and r.status == 200)"));
            assert_eq!(entries(&tally), ["GET p 1 0"]);
            assert_eq!(bodies(&tally), (known, unknown, false), "{path}{options}");
        }
    }
}

#[test]
fn every_way_of_looking_unpacks_it_once() {
    let server = Server::start();
    let length = large_json().len();
    for coding in ["gzip", "br", "zstd"] {
        for code in [
            format!("assert(#r.body == {length} and #r.body == {length} and r:json('name') == 'large')"),
            format!("assert(r:json('name') == 'large' and #r:json('list') == 60000 and #r.body == {length})"),
            "assert(select(2, r:json('list.60000')))".to_owned(),
            format!("local n; ('x'):gsub('x', function() n = #r.body end) assert(n == {length})"),
            format!("local co = coroutine.wrap(function() return #r.body end) assert(co() == {length})"),
        ] {
            let tally = run(&server, &format!("local r = http.get('/packed/{coding}/large', {{ name = 'p' }})\n{code}"));
            assert_eq!(entries(&tally), ["GET p 1 0"]);
            assert_eq!(bodies(&tally), (length as u64, 0, true), "{coding} {code}");
        }
    }
    for path in ["gzip/small", "br/small", "zstd/small", "gzip/junk"] {
        let code = format!(
            "local r = http.get('/packed/{path}')\nassert(r:json('name') == 'n' and #r.body == 31 and r:json('items.0.id') == 7 and r.ok)"
        );
        run(&server, &code);
    }
}

#[test]
fn bodies_of_a_batch_are_looked_at_one_by_one() {
    let server = Server::start();
    run(
        &server,
        r#"local all = http.batch { "/packed/gzip/large", "/packed/br/small", "/big", "/packed/zstd/large" }
           assert(#all[4].body == #all[1].body and all[2]:json("name") == "n" and #all[3].body == 100000 and all[1]:json("name") == "large")"#,
    );
}

#[test]
fn a_body_that_cannot_be_unpacked_fails_its_request_when_somebody_looks() {
    let server = Server::start();
    for (path, kind, words) in [
        ("gzip/cut", "protocol", "gzip data of the body ends too early"),
        ("gzip/spoilt", "protocol", "gzip data of the body do not have the checksum that they state"),
        ("br/cut", "protocol", "br data of the body ends too early"),
        ("gzip/bomb", "too_large", "body larger than the limit of 2097152 bytes"),
        ("br/bomb", "too_large", "body larger than the limit of 2097152 bytes"),
        ("zstd/bomb", "too_large", "body larger than the limit of 2097152 bytes"),
    ] {
        for look in [
            "assert(r.body == nil)",
            "local v, why = r:json('a') assert(v == nil and why == words)",
            "assert(r:json() == nil and r.body == nil)",
        ] {
            let code = format!(
                "local r, words = http.get('/packed/{path}', {{ name = 'p' }}), '{words}'\n{look}\n\
                 assert(not r.ok and r.error == words and r.error_kind == '{kind}' and r.status == 200)"
            );
            let tally = run(&server, &code);
            assert_eq!(errors(&tally), [format!("GET p {kind}: {words}")]);
        }
    }
}

#[test]
fn a_sample_that_is_final_is_not_changed_by_a_late_look() {
    let server = Server::start();
    let tally = run(
        &server,
        "local r = http.get('/packed/gzip/cut', { name = 'p' })\nhttp.get('/ok', { name = 'q' })\nassert(r.body == nil and not r.ok)",
    );
    assert_eq!(entries(&tally), ["GET p 1 0", "GET q 1 0"]);
}

#[test]
fn expect_looks_into_packed_and_large_bodies_and_waits_for_them() {
    let server = Server::start();
    for (options, wanted) in [
        ("expect = { contains = '\"list\"' }", None),
        ("expect = { matches = '^.\"name\"', json = { name = 'large' } }", None),
        ("expect = { status = 200, json = { ['list.1'] = 2654435761 } }", None),
        ("expect = { contains = 'nowhere' }", Some("expect: expected a body that contains `nowhere`")),
        ("expect = { status = 201, contains = 'nowhere' }", Some("expect: expected status 201, got 200")),
        ("expect = { json = { name = 'small' } }", Some("expect: expected json `name` to be \"small\"")),
    ] {
        for coding in ["gzip", "br"] {
            let code = format!(
                "local r = http.get('/packed/{coding}/large', {{ name = 'p', {options} }})\n\
                 assert(r.ok == {} and r:json('name') == 'large', r.error)",
                wanted.is_none()
            );
            let tally = run(&server, &code);
            assert_eq!(errors(&tally), wanted.map(|words| format!("GET p {words}")).into_iter().collect::<Vec<_>>(), "{options}");
        }
    }
    let tally = run(
        &server,
        "local r = http.get('/packed/br/bomb', { name = 'p', expect = { contains = 'x' } })\nassert(r.status == 0 and r.error_kind == 'too_large')",
    );
    assert_eq!(errors(&tally), ["GET p too_large: body larger than the limit of 2097152 bytes"]);
    run(&server, "assert(http.get('/big', { expect = { contains = 'xxx' } }).ok)");
}

#[test]
fn others_run_while_a_body_is_unpacked() {
    let server = Server::start();
    let lane = lane_of(&server, "local r = http.get('/packed/br/large')\nassert(#r.body > 500000)");
    block_on(async {
        let (mut user, _control) = lane.user(0);
        user.on_start().await;
        let turns = std::cell::Cell::new(0);
        let others = async {
            loop {
                tokio::task::yield_now().await;
                turns.set(turns.get() + 1);
            }
        };
        tokio::select! {
            step = user.iterate() => assert!(!step.raised),
            () = others => {}
        }
        // The unpacking alone takes many milliseconds; a lane that waited for it would have run others a few times only.
        assert!(turns.get() > 500, "{}", turns.get());
    });
    assert!(lane.exceptions().is_empty());
}

/// No engine is quick with this pattern, and no two places of the text are alike to it.
const DEAR: &str = "local t = {} for i = 1, 200000 do t[i] = (i * i * 7919 % 10007) % 2 == 0 and 'a' or 'b' end\n\
     http.post('/echo', { body = table.concat(t), name = 'p', expect = { matches = '(?-u)[ab]*a[ab]{3000}c' } })";

#[test]
fn a_body_whose_judging_takes_too_long_is_held_against_the_generator() {
    let tally = run(&Server::start(), DEAR);
    assert_eq!(
        errors(&tally),
        ["POST p local: the pattern of `expect.matches` takes too long for a body like this one, which nobody has judged"]
    );
}

#[test]
fn a_user_that_is_dropped_while_its_answer_is_judged_leaves_it_counted() {
    let server = Server::start();
    let lane = lane_of(&server, DEAR);
    block_on(async {
        let (mut user, _control) = lane.user(0);
        user.on_start().await;
        // Less than judging may take: it does not come to its end.
        let dropped = tokio::time::timeout(Duration::from_millis(200), user.iterate()).await;
        assert!(dropped.is_err(), "the iteration ended by itself");
        drop(user);
    });
    let tally = lane.tally();
    assert_eq!(entries(&tally), ["POST p 1 0"]);
    assert_eq!(tally.entries.values().map(|counts| counts.hops.cut()).sum::<u64>(), 1);
}
