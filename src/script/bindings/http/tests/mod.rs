//! Whole scripts against a server on the loopback: what the script sees, what the server got, and what was counted.

use std::time::Duration;

use self::server::Server;
use crate::load::VirtualUser;
use crate::script::testing::{Script, TestLane, block_on};
use crate::stats::sample::FailureKind;
use crate::stats::tally::Tally;

mod client;
mod known;
mod looking;
mod server;

/// Runs `body` as the task of one user; fails with what it raised.
fn run(server: &Server, body: &str) -> Tally {
    let lane = lane_of(server, body);
    lane.live(0, 1);
    let tally = lane.tally();
    if let Some((message, counts)) = tally.exceptions.iter().next() {
        panic!("{message}\n{}", counts.traceback);
    }
    tally
}

/// What `body` raises.
fn raised(server: &Server, body: &str) -> String {
    let lane = lane_of(server, body);
    lane.live(0, 1);
    lane.exceptions().first().map(|(message, _)| message.clone()).expect("nothing was raised")
}

fn lane_of(server: &Server, body: &str) -> TestLane {
    let source = format!("local http, time, json = require 'http', require 'time', require 'json'\nreturn function()\n{body}\nend");
    let mut script = Script::new(&source);
    script.host = Some(server.base.clone());
    script.body_limit = 2 << 20;
    script.lane()
}

/// Method, name, requests and failures of each entry.
fn entries(tally: &Tally) -> Vec<String> {
    let mut all: Vec<_> = tally
        .entries
        .iter()
        .map(|(key, counts)| {
            format!("{} {} {} {}", key.method, key.name, counts.hops.requests, counts.hops.failures() + counts.hops.local())
        })
        .collect();
    all.sort();
    all
}

/// Kind and message of each error.
fn errors(tally: &Tally) -> Vec<String> {
    let mut all: Vec<_> = tally
        .errors
        .keys()
        .map(|error| format!("{} {} {}: {}", error.entry.method, error.entry.name, error.kind.name(), error.message))
        .collect();
    all.sort();
    all
}

#[test]
fn a_result_shows_what_came() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local r = http.get("/json", { name = "j" })
           assert(r.status == 200 and r.ok == true and r.error == nil and r.error_kind == nil)
           assert(r.headers["CONTENT-type"] == "application/json" and r.headers["x-two"] == "1")
           local two = r.headers:all("X-Two")
           assert(#two == 2 and two[2] == "2")
           local lower = false
           for name in pairs(r.headers) do lower = lower or name == "content-type" end
           assert(lower)
           assert(r:json("items.0.id") == 7 and r:json().name == "n")
           local nothing, why = r:json("items.5")
           assert(nothing == nil and why)
           assert(r.body:find("items") and r:json("name") == "n")
           assert(r.proto == "HTTP/1.1" and r.url:find("/json$") and #r.history == 0)
           assert(r.timings.total > 0 and r.timings.dns == nil)
           assert(r:must() == r)
           local _, text = http.get("/ok"):json()
           assert(text)"#,
    );
    assert_eq!(entries(&tally), ["GET /ok 1 0", "GET j 1 0"]);
}

#[test]
fn what_the_engine_keeps_in_a_result_is_not_among_its_fields_nor_in_what_is_raised() {
    let server = Server::start();
    run(
        &server,
        r#"for _, r in ipairs { http.get("/json"), http.get("/big"), http.batch({ "/json", "/big" })[2] } do
             local seen = {}
             for key, value in pairs(r) do
               seen[#seen + 1] = key
               assert(value == rawget(r, key))
             end
             table.sort(seen)
             assert(table.concat(seen, " ") == "ok status", table.concat(seen, " "))
             assert(r.body and r:json() ~= r)
             local names = {}
             for key in pairs(r) do names[key] = true end
             assert(names.body and names.ok and not names._packed and not names._handle)
           end
           assert(json.encode(http.get("/json")) == '{"ok":true,"status":200}', json.encode(http.get("/json")))
           assert(json.encode { one = http.get("/big") } == '{"one":{"ok":true,"status":200}}')
           assert(json.encode { _packed = 1, _handle = 2 } == '{"_handle":2,"_packed":1}', "a script's own table is written whole")"#,
    );
    assert_eq!(raised(&server, r#"error(http.get("/json"))"#), "{ ok = true, status = 200 }");
}

#[test]
fn each_option_reaches_the_server() {
    let server = Server::start();
    run(
        &server,
        r#"local function echo(options, method) return http.request(method or "post", "/echo", options).body end
           local plain = http.get("/echo").body
           assert(plain:find("^GET /echo HTTP/1.1\r\n") and plain:find("user%-agent: lunamoth/") and plain:find("accept: %*/%*"))
           assert(plain:find("accept%-encoding: gzip, deflate, br, zstd"))
           assert(not echo({ compress = false }):find("accept%-encoding"))
           local sent = echo { json = { a = 1 } }
           assert(sent:find("content%-type: application/json") and sent:find('{"a":1}', 1, true))
           sent = echo { form = { a = "b c" } }
           assert(sent:find("application/x%-www%-form%-urlencoded") and sent:find("\r\n\r\na=b%+c$"))
           assert(echo({ multipart = { f = { body = "xyz", filename = "n" } } }):find('filename="n"'))
           assert(echo({ body = "raw" }, "PATCH"):find("^PATCH .*\r\n\r\nraw$"))
           assert(echo({ params = { q = "a b" } }):find("^POST /echo%?q=a%+b "))
           assert(echo({ auth = { "Aladdin", "open sesame" } }):find("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", 1, true))
           assert(echo({ headers = { ["X-A"] = "1", accept = false } }):find("X-A: 1", 1, true))
           assert(not echo({ headers = { accept = false } }):find("accept: ", 1, true))
           assert(echo({ cookies = { k = "v" } }):find("cookie: k=v"))
           assert(echo({ json = {}, headers = { ["content-type"] = "x/y" } }):find("content%-type: x/y"))
           assert(http.get("/big", { discard = true }).body == nil)
           assert(http.head("/ok").body == "")
           local slow = http.get("/hang", { timeout = 0.05 })
           assert(slow.status == 0 and not slow.ok and slow.error_kind == "timeout", slow.error)"#,
    );
}

#[test]
fn redirects_are_named_after_the_request_and_followed_to_the_limit() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local r = http.post("/redirect/2", { name = "start", json = {} })
           assert(r.status == 200 and #r.history == 2 and r.history[1].method == "POST" and r.history[2].status == 302)
           assert(r.body:find("^GET /echo") and r.body:find("cookie: hop2=x; hop1=x") and not r.body:find("content%-type"))
           r = http.get("/redirect/3", { redirects = 1, cookies = false })
           assert(r.status == 302 and not r.ok and r.error_kind == "too_many_redirects")
           r = http.get("/redirect/3", { redirects = false })
           assert(r.status == 302 and r.ok)"#,
    );
    assert_eq!(
        entries(&tally),
        [
            "GET /redirect/:id 2 0",
            "GET /redirect/:id > GET /redirect/:id 1 1",
            "GET start > GET /echo 1 0",
            "GET start > GET /redirect/:id 1 0",
            "POST start 1 0"
        ]
    );
    assert_eq!(errors(&tally), ["GET /redirect/:id > GET /redirect/:id too_many_redirects: more than 1 redirects"]);
}

#[test]
fn a_sample_can_be_judged_until_the_next_request_or_wait() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local one = http.get("/ok", { name = "one" })
           assert(one:fail("wrong page") and not one.ok and one.error == "wrong page" and one.error_kind == "script")
           local two = http.get("/status/404", { name = "two" })
           assert(two.error == "404 Not Found" and two:pass() and two.ok and two.error == nil)
           assert(one:pass() == false and not one.ok)
           local three = http.get("/ok", { name = "three" })
           time.sleep(0.001)
           assert(three:fail() == false and three.ok)
           local four = http.get("/status/404", { name = "four", expect = { status = 404 } })
           assert(four.ok)
           local five = http.get("/ok", { name = "five", expect = 201 })
           assert(five.error == "expected status 201, got 200" and five.error_kind == "expect")
           local six = http.get("http://127.0.0.1:1/", { name = "six" })
           assert(six.error_kind == "refused" and six.status == 0 and six:pass() == false and not six.ok)
           http.get("/status/503", { name = "seven" })"#,
    );
    assert_eq!(
        entries(&tally),
        ["GET five 1 1", "GET four 1 0", "GET one 1 1", "GET seven 1 1", "GET six 1 1", "GET three 1 0", "GET two 1 0"]
    );
    assert_eq!(
        errors(&tally),
        [
            "GET five expect: expected status 201, got 200",
            "GET one script: wrong page",
            "GET seven status: 503 Service Unavailable",
            "GET six refused: connection refused by 127.0.0.1:1",
        ]
    );
}

#[test]
fn a_batch_runs_in_parallel_and_answers_in_order() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local all = http.batch { "/a", { "POST", "/echo", { body = "x", name = "p" } }, { method = "put", url = "/c", expect = "2xx" }, "http://127.0.0.1:1/" }
           assert(#all == 4 and all[1].body == "/a" and all[2].body:find("x$") and all[3].ok and not all[4].ok)
           assert(all[1]:fail("no") and all[3]:fail("no"))"#,
    );
    assert_eq!(entries(&tally), ["GET /a 1 1", "GET 127.0.0.1:1/ 1 1", "POST p 1 0", "PUT /c 1 1"]);
}

#[test]
fn options_of_a_batchs_request_may_stand_beside_method_and_url() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local list = { { "GET", "/a", name = "one" }, { "POST", "/echo", json = { n = 1 }, headers = { ["x-mine"] = "yes" } }, { "GET", "/a" } }
           for _ = 1, 3 do
             local all = http.batch(list)
             assert(all[2].body:find("x%-mine: yes") and all[2].body:find('{"n":1}', 1, true), all[2].body)
           end
           assert(list[1].name == "one" and list[1][3] == nil, "the script's own list has changed")
           assert(http.client { headers = { ["x-c"] = "c" } }.batch({ { "GET", "/echo", name = "two" } })[1].body:find("x%-c"))"#,
    );
    assert_eq!(entries(&tally), ["GET /a 3 0", "GET one 3 0", "GET two 1 0", "POST /echo 3 0"]);
}

#[test]
fn bodies_are_kept_across_the_next_requests() {
    let server = Server::start();
    run(
        &server,
        r#"local small, big = http.get("/small"), http.get("/big")
           for _ = 1, 20 do http.get("/big") end
           assert(small.body == "/small" and small.headers["content-length"] == "6" and #big.body == 100000 and #big.body == 100000)
           assert(select(2, big:json()))"#,
    );
}

#[test]
fn cookies_are_the_users_own() {
    let server = Server::start();
    run(
        &server,
        r#"local r = http.get("/set")
           assert(r.cookies.a == "b" and r.cookies.c == "d")
           assert(http.cookies.get("a") == "b" and http.cookies.get().c == "d" and http.cookies.get("none") == nil)
           assert(http.get("/echo").body:find("cookie: a=b; c=d"))
           assert(not http.get("/echo", { cookies = false }).body:find("cookie"))
           http.cookies.set("e", "f")
           assert(http.get("/echo").body:find("e=f"))
           http.cookies.clear()
           assert(not http.get("/echo").body:find("cookie"))"#,
    );
}

#[test]
fn defaults_and_clients_lie_over_each_other() {
    let server = Server::start();
    run(
        &server,
        r#"http.defaults { headers = { authorization = "one", ["x-d"] = "d" } }
           http.defaults { headers = { authorization = "two" } }
           local api = http.client { headers = { ["x-c"] = "c", ["x-d"] = false }, auth = { bearer = "t" } }
           local plain, client = http.get("/echo").body, api.get("/echo").body
           assert(plain:find("authorization: two") and plain:find("x%-d: d") and not plain:find("x%-c"))
           assert(client:find("authorization: Bearer t") and client:find("x%-c: c") and not client:find("x%-d"))
           assert(api.batch({ "/echo" })[1].body:find("x%-c"))
           assert(http.client { host = http.get("/").url .. "deep" }.get("/er").body == "/deep/er")"#,
    );
}

#[test]
fn mistakes_are_raised_at_the_callers_line() {
    let server = Server::start();
    for (code, words) in [
        ("http.get('/x', { timout = 1 })", "unknown option `timout`; did you mean `timeout`?"),
        ("http.get('/x', 'name')", "options must be a table"),
        ("http.post(7)", "the URL must be a string, not a number"),
        ("http.get('ftp://x/')", "`ftp://x/`"),
        ("http.request('a b', '/')", "is no method"),
        ("http.batch { { 'POST', '/b', 'text' } }", "request 1: options must be a table, such as { body = \"...\" }"),
        ("http.batch { { 'GET', '/b', nmae = 'x' } }", "request 1: unknown option `nmae`; did you mean `name`?"),
        ("http.batch { { 'GET', '/b', { name = 'x' }, timeout = 1 } }", "request 1: options stand in its third place, or beside method and URL, not both"),
        ("http.batch { '/a', { 'GET', '/b', nil, { name = 'x' } } }", "request 2: options are named, such as { name = \"/cart\" }: a number is no name"),
        ("http.batch { { 'GET', url = '/b' } }", "request 1: the URL must be a string, not nil"),
        ("http.post('/x', { name = 'a' }, { headers = {} })", "a request takes a URL and one table of options"),
        ("http.request('PURGE', '/x', nil, {})", "a request takes a URL and one table of options"),
        ("http.client({}).get('/x', {}, 5)", "a request takes a URL and one table of options"),
        ("http:get('/x')", "the functions of `http` are called with a dot: http.get(url)"),
        ("http.get('/x', { headers = { 'X-Token: abc' } })", "option `headers` must be a table of names and values, such as { name = value }, not a list"),
        ("http.get('/x', { cookies = { 'a=1' } })", "option `cookies` must be a table of names and values, such as { name = value }, not a list"),
        ("require('time').sleep(1, 3)", "time.sleep takes one duration; one by chance is random.number(1, 3)"),
        ("require('check')(1, { a = true }, { tag = 1 })", "check takes a value and one table of checks"),
        ("http.get('/x', false)", "options must be a table, not a boolean"),
        ("http.batch { '/a', { 'GET', '/b', { nam = 1 } } }", "request 2: unknown option `nam`; did you mean `name`?"),
        ("http.defaults { timeout = {} }", "http.defaults: option `timeout` must be a duration"),
        ("http.client { hots = '' }", "http.client: unknown option `hots`; did you mean `host`?"),
        ("http.get('/x', { discard = true, expect = { contains = 'a' } })", "which `discard` throws away"),
        ("http.get('/status/503'):must()", "GET /status/:id: 503 Service Unavailable"),
        (
            "http.post('/x', 'name=joe')",
            "options must be a table, such as { body = \"...\" }, { json = ... } or { form = ... }, not a string",
        ),
        (
            "http.post('/x', { form = { n = { b = 2 } } })",
            "option `form.n` must be a string, a number, a boolean or a list of them, not a table of names",
        ),
    ] {
        let why = raised(&server, &format!("\n{code}"));
        assert!(why.starts_with("test.lua:4: ") && why.contains(words), "{code}: {why}");
    }
}

#[test]
fn a_dropped_user_leaves_its_hops_counted() {
    let server = Server::start();
    let lane = lane_of(&server, "http.get('/ok')\nhttp.batch { '/a', '/hang', 'http://127.0.0.1:1/' }");
    block_on(async {
        let (mut user, _control) = lane.user(0);
        user.on_start().await;
        let cut = tokio::time::timeout(Duration::from_millis(300), user.iterate()).await;
        assert!(cut.is_err(), "the iteration ended by itself");
        drop(user);
    });
    let tally = lane.tally();
    assert_eq!(entries(&tally), ["GET /a 1 0", "GET /hang 1 0", "GET /ok 1 0", "GET 127.0.0.1:1/ 1 1"]);
    assert_eq!(tally.entries.values().map(|counts| counts.hops.cut()).sum::<u64>(), 1);
    assert!(tally.errors.keys().all(|error| error.kind != FailureKind::Cut));
    let (mut reported, mut unanswered) = (0, 0);
    for counts in tally.entries.values() {
        reported += counts.hops.requests - counts.hops.not_sent;
        unanswered += counts.hops.unanswered;
    }
    assert_eq!((reported, unanswered), (server.served(), 1));
}

#[test]
fn a_timeout_behind_redirects_names_the_limit_that_was_set() {
    let server = Server::start();
    let tally = run(&server, r#"http.get("/redirect-to/hang", { name = "r", timeout = "120ms" })"#);
    assert_eq!(entries(&tally), ["GET r 1 0", "GET r > GET /hang 1 1"]);
    assert_eq!(errors(&tally), ["GET r > GET /hang timeout: no whole answer within 120ms"]);
}

#[test]
fn making_a_body_of_a_table_is_part_of_the_duration() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local list = {}
           for i = 1, 60000 do list[i] = "some words to be escaped \\ " .. i end
           local r = http.post("/ok", { json = list, name = "j" })
           assert(r.timings.blocked > 0.0005, r.timings.blocked)"#,
    );
    assert_eq!(entries(&tally), ["POST j 1 0"]);
}

#[test]
fn tags_stand_behind_the_names_of_all_hops_and_those_of_a_request_are_added_to_its_clients() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"http.defaults { tags = { team = "a", kind = "read" } }
           http.get("/ok")
           http.get("/redirect/1", { name = "r", tags = { kind = "write", v = 2, new = true } })
           local c = http.client { tags = { team = "b" } }
           c.get("/ok", { name = "x" })"#,
    );
    assert_eq!(
        entries(&tally),
        [
            "GET /ok {kind:read,team:a} 1 0",
            "GET r > GET /echo {kind:write,new:true,team:a,v:2} 1 0",
            "GET r {kind:write,new:true,team:a,v:2} 1 0",
            "GET x {kind:read,team:b} 1 0",
        ]
    );
}

#[test]
fn an_empty_name_is_none() {
    let server = Server::start();
    let tally = run(&server, r#"http.get("/json", { name = "" }) http.get("/json", { name = "", params = { a = 1 } })"#);
    assert_eq!(entries(&tally), ["GET /json 2 0"]);
}

#[test]
fn what_a_result_does_not_have_raises_with_the_right_name() {
    let server = Server::start();
    for (body, expected) in [
        ("return http.get('/a').status_code", "a result has no `status_code`, did you mean `status`?"),
        ("return http.get('/a').text", "a result has no `text`, did you mean `body`?"),
        ("return http.get('/a').elapsed", "a result has no `elapsed`, did you mean `timings.total`?"),
        ("return http.get('/a').statsu", "a result has no `statsu`, did you mean `status`?"),
        ("return http.get('/a').zebra", "a result has no `zebra`: it has status, ok"),
        ("return http.get('/a').timings.conect", "timings have no `conect`, did you mean `connect`?"),
        ("http.get('/a'):jsn()", "a result has no `jsn`, did you mean `json`?"),
        ("http.get('/a'):json('a', { big = 1 })", "res:json has no `big`"),
        ("http.get('/a'):json({ big_integers = 1 })", "res:json: `big_integers` must be \"number\" or \"string\""),
    ] {
        let said = raised(&server, body);
        assert!(said.starts_with("test.lua:3: ") && said.contains(expected), "{body}: {said}");
    }
    run(
        &server,
        "local res = http.get('/a')
         assert(res.error == nil and res.error_kind == nil and res[1] == nil and res.timings.tls == nil and res.timings.total > 0)
         res.mine = 1 assert(res.mine == 1 and res.headers.nothing == nil)",
    );
}

#[test]
fn whole_numbers_of_an_answer_go_whole_into_a_url_and_larger_ones_as_texts_where_asked() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local ids
        ids = json.decode('{"a":123456789012345,"b":9007199254740991,"c":12345678901234567890}')
        assert(http.get("/x/" .. ids.a, { name = "n" }).body == "/x/123456789012345")
        assert(http.get("/x/" .. ids.b, { name = "n" }).body == "/x/9007199254740991")
        local sent = http.post("/echo", { name = "n", form = { id = ids.b }, params = { id = ids.a }, headers = { ["x-id"] = ids.b } }).body
        assert(sent:find("id=9007199254740991") and sent:find("?id=123456789012345", 1, true) and sent:find("x%-id: 9007199254740991"), sent)
        local big
        big = http.get("/digits", { name = "n" })
        assert(big:json("id", { big_integers = "string" }) == "12345678901234567890", big:json("id", { big_integers = "string" }))
        assert(big:json({ big_integers = "string" }).id == "12345678901234567890" and type(big:json("id")) == "number")"#,
    );
    assert!(tally.exceptions.is_empty());
}
