//! A request that was asked for before goes a short way: whatever it is, nobody must see a difference.

use super::super::repeat;
use super::{entries, errors, lane_of, run};
use super::server::Server;

/// Tells all that a result shows.
const TOLD: &str = r#"
  local function told(r)
    local parts = { r.status, tostring(r.ok), tostring(r.body), tostring(r.error), tostring(r.error_kind), r.url, tostring(r.proto) }
    local lines = {}
    for name, value in pairs(r.headers) do lines[#lines + 1] = name .. ": " .. value end
    table.sort(lines)
    for _, hop in ipairs(r.history) do lines[#lines + 1] = hop.method .. " " .. hop.url .. " " .. hop.status end
    for name, value in pairs(r.cookies) do lines[#lines + 1] = name .. "=" .. value end
    table.sort(lines)
    for _, name in ipairs { "blocked", "send", "wait", "receive", "total" } do lines[#lines + 1] = name .. tostring(r.timings[name] ~= nil) end
    local _, why = pcall(function() r:must() end)
    return table.concat(parts, "|") .. table.concat(lines, "|") .. tostring(why)
  end
  local function alike(what, ask)
    local first = told(ask())
    for turn = 2, 4 do
      local now = told(ask())
      if now ~= first then error(what .. ", time " .. turn .. ": " .. now .. " AND FIRST " .. first) end
    end
  end
"#;

#[test]
fn a_callers_mistake_is_one_the_fourth_time_as_well() {
    let server = Server::start();
    run(
        &server,
        r#"http.get("/echo") http.get("/echo") http.get("/echo")
           http.defaults { discard = true, expect = { contains = "host" } }
           for _, url in ipairs { "/echo", "/echo", "/other", "/other", "/other", "/other" } do
             local is_done, why = pcall(http.get, url)
             assert(not is_done and tostring(why):find("looks into the body, which `discard` throws away", 1, true), tostring(why))
           end
           assert(http.get("/echo", { discard = false }).ok)"#,
    );
    assert_eq!(server.served(), 4);
}

#[test]
fn the_fourth_time_a_request_shows_what_it_showed_the_first_time() {
    let server = Server::start();
    let before = repeat::runs();
    let port = server.base.rsplit(':').next().unwrap();
    let body = format!(
        r#"{TOLD}
  local function clean() http.cookies.clear() end
  for _, url in ipairs {{ "/echo", "/echo/17?x=1", "/status/404", "/status/503", "/status/204", "/redirect/2", "/set", "/packed/gzip/small", "/packed/gzip/spoilt", "/big",
      "/a b", "echo", "/echo#part", "{base}/echo", "http://localhost:{port}/echo", "/redirect-to-url?ftp://h/" }} do
    for _, method in ipairs {{ "get", "post", "put", "patch", "delete", "head", "options" }} do
      alike(method .. url, function() clean() return http[method](url) end)
      alike(method .. url .. " named", function() clean() return http[method](url, {{ name = "named " .. url }}) end)
    end
    alike("empty name " .. url, function() clean() return http.get(url, {{ name = "" }}) end)
    alike("blank name " .. url, function() clean() return http.get(url, {{ name = "  " }}) end)
    alike("with cookies " .. url, function() clean() http.cookies.set("k", "v") return http.get(url) end)
  end"#,
        base = server.base
    );
    let tally = run(&server, &body);
    let urls = 16;
    let asked: u64 = tally.entries.values().map(|counts| counts.hops.requests).sum();
    assert_eq!(asked, server.served());
    // Of four times the first is not known yet; an empty name and one of blanks are spellings of their own.
    assert_eq!(repeat::runs() - before, urls * 7 * 2 * 3 + urls * 3 * 2 + urls * 4, "the short way was not taken");
    for (key, counts) in &tally.entries {
        assert!(counts.hops.requests.is_multiple_of(4), "{} {}: {} hops", key.method, key.name, counts.hops.requests);
        assert!(counts.hops.failures().is_multiple_of(4), "{} {}: {} failures", key.method, key.name, counts.hops.failures());
    }
    let of_503 = entries(&tally).into_iter().filter(|entry| entry.contains("/status")).collect::<Vec<_>>();
    assert!(of_503.contains(&"POST named /status/503 4 4".to_owned()) && of_503.contains(&"GET /status/:id 48 32".to_owned()), "{of_503:?}");
}

#[test]
fn a_member_of_a_batch_shows_what_a_request_by_itself_shows() {
    let server = Server::start();
    let before = repeat::runs();
    let body = format!(
        r#"{TOLD}
  local urls = {{ "/echo", "/status/404", "/status/204", "/redirect/2", "/set", "/packed/gzip/small", "/packed/gzip/spoilt", "/big", "/packed/br/large",
      "{base}/echo" }}
  -- What follows from the order is not looked at: which request finds an open connection, and which one a cookie.
  http.defaults {{ cookies = false, keepalive = false }}
  for turn = 1, 4 do
    for _, method in ipairs {{ "GET", "POST", "DELETE" }} do
      local members, alone = {{}}, {{}}
      for place, url in ipairs(urls) do
        members[#members + 1] = {{ method, url }}
        alone[#alone + 1] = told(http.request(method, url))
        members[#members + 1] = {{ method, url, name = "n" .. place }}
        alone[#alone + 1] = told(http.request(method, url, {{ name = "n" .. place }}))
      end
      for place, result in ipairs(http.batch(members)) do
        local now = told(result)
        if now ~= alone[place] then error(method .. " " .. place .. ", turn " .. turn .. ": " .. now .. " AND ALONE " .. alone[place]) end
      end
    end
  end"#,
        base = server.base
    );
    let tally = run(&server, &body);
    let asked: u64 = tally.entries.values().map(|counts| counts.hops.requests).sum();
    assert_eq!(asked, server.served());
    // `http.request` spells its method out and goes the long way; of four batches the first one does as well.
    assert_eq!(repeat::runs() - before, 3 * 3 * 2 * 10, "the short way was not taken");
}

#[test]
fn what_a_user_says_of_all_its_requests_holds_for_a_known_one() {
    let (server, other) = (Server::start(), Server::start());
    let before = repeat::runs();
    let body = format!(
        r#"
  local function ask() return http.get("/echo", {{ name = "e" }}) end
  for _ = 1, 3 do ask() end
  http.defaults {{ headers = {{ ["x-mine"] = "yes" }} }}
  for _ = 1, 3 do assert(ask().body:find("x%-mine: yes")) end
  http.defaults {{ tags = {{ kind = "read" }} }}
  for _ = 1, 3 do assert(ask().ok) end
  http.defaults {{ headers = {{ cookie = "own=1" }} }}
  http.cookies.set("jar", "2")
  for _ = 1, 3 do local body = ask().body assert(body:find("cookie: own=1") and not body:find("jar")) end
  http.defaults {{ headers = {{ cookie = false }}, expect = {{ contains = "nothing of the kind" }} }}
  for _ = 1, 3 do local r = ask() assert(not r.ok and r.error_kind == "expect", r.error) end
  http.defaults {{ expect = {{ status = 200 }}, discard = true }}
  for _ = 1, 3 do local r = ask() assert(r.ok and r.body == nil) end
  http.defaults {{ discard = false, timeout = 0.05 }}
  for _ = 1, 3 do local r = http.get("/hang") assert(r.error_kind == "timeout" and r.status == 0, r.error) end
  http.defaults {{ timeout = 5, host = "{}" }}
  for _ = 1, 3 do assert(ask().url == "{}/echo") end
"#,
        other.base, other.base
    );
    let tally = run(&server, &body);
    assert_eq!(other.served(), 3);
    assert_eq!(repeat::runs() - before, 2 + 3 + 3 + 3 + 3 + 3 + 2, "the short way was not taken");
    let counted = entries(&tally);
    assert!(counted.contains(&"GET e 6 0".to_owned()) && counted.contains(&"GET e {kind:read} 15 3".to_owned()), "{counted:?}");
    assert!(counted.contains(&"GET /hang {kind:read} 3 3".to_owned()), "{counted:?}");
    assert_eq!(errors(&tally).len(), 2, "{:?}", errors(&tally));
}

#[test]
fn a_known_request_is_judged_and_seen_as_any_other() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"for turn = 1, 4 do
             local r = http.get("/json")
             assert(r:json("name") == "n" and r:fail("too dear") and not r.ok)
             r = http.get("/status/404")
             assert(r:pass() and r.ok)
           end"#,
    );
    assert_eq!(entries(&tally), ["GET /json 4 4", "GET /status/:id 4 0"]);
    assert_eq!(errors(&tally), ["GET /json script: too dear"]);
}

#[test]
fn urls_that_never_come_again_are_not_kept() {
    let server = Server::start();
    let before = repeat::runs();
    let lane = lane_of(&server, "for turn = 1, 300 do http.get('/once/' .. turn) end");
    lane.live(0, 1);
    assert_eq!(repeat::runs(), before);
    lane.live(0, 1);
    assert!(repeat::runs() - before > 250, "{}", repeat::runs() - before);
    assert_eq!(entries(&lane.tally()), ["GET /once/:id 600 0"]);
}
