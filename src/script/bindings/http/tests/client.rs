//! What a script says of credentials, connections, redirects and bodies, as the server gets it.

use super::server::Server;
use super::{errors, raised, run};
use crate::script::testing::Script;

#[test]
fn issue_15_a_user_and_password_in_a_url_are_sent_to_its_origin_alone() {
    let server = Server::start();
    let elsewhere = Server::start();
    let with_user = |base: &str| base.replace("http://", "http://bob:secret@");
    let tally = run(
        &server,
        &format!(
            r#"local basic = "authorization: Basic Ym9iOnNlY3JldA=="
               local r = http.get("{0}/echo")
               assert(r.body:find(basic, 1, true) and not r.url:find("secret"), r.url)
               assert(not http.get("{1}/echo").body:find("authorization"))
               assert(http.get("{0}/echo", {{ auth = {{ bearer = "t" }} }}).body:find("Bearer t"))
               assert(not http.get("{0}/echo", {{ headers = {{ authorization = false }} }}).body:find("authorization"))
               assert(http.get("{0}/redirect-to/echo").body:find(basic, 1, true))
               local api = http.client {{ host = "{0}" }}
               assert(api.get("/echo").body:find(basic, 1, true))
               assert(api.get("{1}/echo").body:find(basic, 1, true))
               assert(not api.get("{2}/echo").body:find("authorization"))"#,
            with_user(&server.base),
            server.base,
            elsewhere.base,
        ),
    );
    assert!(!format!("{:?}", tally.entries.keys()).contains("secret"));
}

#[test]
fn issue_15_without_keepalive_the_request_says_so() {
    let server = Server::start();
    run(
        &server,
        r#"assert(http.get("/echo", { keepalive = false }).body:find("connection: close\r\n", 1, true))
           assert(not http.get("/echo").body:find("connection: close", 1, true))
           http.defaults { keepalive = false }
           local r = http.get("/echo")
           assert(r.body:find("connection: close") and r.timings.connect)
           assert(not http.get("/echo", { keepalive = true }).body:find("connection: close", 1, true))"#,
    );
}

#[test]
fn issue_15_a_redirect_that_cannot_be_followed_is_a_failure_in_words() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local r = http.get("/redirect-to-url?ftp://a/", { name = "f" })
           assert(r.status == 302 and not r.ok and r.error_kind == "protocol" and r.error:find("`ftp:`"), r.error)
           assert(http.get("/redirect-to-url?ftp://a/", { name = "n", redirects = false }).ok)"#,
    );
    assert_eq!(errors(&tally), ["GET f protocol: a redirect to a URL of `ftp:`, which is not followed: `http` and `https` are"]);
}

#[test]
fn issue_15_a_multipart_beside_an_own_content_type_can_be_read() {
    let server = Server::start();
    run(
        &server,
        r#"local sent = http.post("/echo", { multipart = { a = "1" }, headers = { ["Content-Type"] = "multipart/form-data" } }).body
           local boundary = sent:match("multipart/form%-data; boundary=(%S+)")
           assert(boundary and sent:find("\r\n\r\n--" .. boundary, 1, true), sent)
           local _, count = sent:lower():gsub("content%-type: multipart", "")
           assert(count == 1, sent)
           http.defaults { headers = { ["content-type"] = "multipart/mixed" } }
           assert(http.post("/echo", { multipart = { a = "1" } }).body:find("multipart/mixed; boundary="))"#,
    );
}

#[test]
fn a_batch_has_six_connections_unless_the_script_says_otherwise() {
    let server = Server::start();
    let batch = r#"local all, list = nil, {}
                   for i = 1, 20 do list[i] = "/pause?" .. i end
                   all = LIBRARY.batch(list)
                   for _, res in ipairs(all) do assert(res.ok, res.error) end"#;
    let on = |library: &str| batch.replace("LIBRARY", library);
    run(&server, &format!("{} assert(all[20].timings.blocked > 0.05, all[20].timings.blocked)", on("http")));
    assert_eq!(server.take_connections(), 6);
    run(&server, &format!("http.defaults {{ max_connections = 20 }} {}", on("http")));
    assert_eq!(server.take_connections(), 20);
    run(&server, &format!("local api = http.client {{ max_connections = 2 }} {}", on("api")));
    assert_eq!(server.take_connections(), 2);
}

#[test]
fn connections_end_by_number_and_by_age_as_the_script_says() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local api = http.client { connection_max_requests = 2 }
           for _ = 1, 10 do assert(api.get("/ok").ok) end"#,
    );
    assert_eq!(server.take_connections(), 5);
    assert!(errors(&tally).is_empty());
    run(
        &server,
        r#"http.defaults { connection_max_age = "400ms", connection_max_requests = 3 }
           local function both() assert(http.get("/ok").ok and http.get("/ok").ok) end
           both() time.sleep(0.5) both()
           http.defaults { connection_max_age = false, connection_max_requests = false }
           time.sleep(0.5) both() both()"#,
    );
    assert_eq!(server.take_connections(), 2);
}

#[test]
fn a_server_that_does_not_speak_the_version_is_a_failure_in_words() {
    let server = Server::start();
    let tally = run(
        &server,
        r#"local res = http.get("/ok", { version = "2", name = "n" })
           assert(res.status == 0 and res.error_kind == "protocol" and res.error:find("does not speak HTTP/2 without TLS", 1, true), res.error)
           assert(http.get("/ok", { version = "1.1", name = "n" }).proto == "HTTP/1.1" and http.get("/ok", { version = 1.1, name = "n" }).ok)
           assert(http.client({ version = 2 }).get("/ok", { version = "1.1", name = "n" }).ok)"#,
    );
    assert_eq!(errors(&tally).len(), 1);
    for (body, why) in [
        ("http.get('/', { version = '3' })", "test.lua:3: option `version`: HTTP/3 comes with a later version"),
        ("http.get('/', { version = 'h2' })", "test.lua:3: option `version` must be \"1.1\" or \"2\", not \"h2\""),
        ("http.get('/', { max_connections = 3 })", "test.lua:3: option `max_connections` is for many requests"),
        (
            "http.defaults { max_connections = 0 }",
            "test.lua:3: http.defaults: option `max_connections` must be a whole number from 1 to 1000, not 0",
        ),
        ("http.client { connection_max_age = 'soon' }", "test.lua:3: http.client: option `connection_max_age` must be a duration above 0"),
    ] {
        let said = raised(&server, body);
        assert!(said.starts_with(why), "{body}: {said}");
    }
}

#[test]
fn a_scenario_says_what_all_its_requests_obey() {
    let server = Server::start();
    let script = |http: &str| {
        let source = format!(
            r#"local http, scenario = require "http", require "scenario"
               local User = scenario.user {{}}
               User:task("t", function()
                 for _ = 1, 6 do assert(http.get("/ok").ok) end
                 http.batch {{ "/pause", "/pause", "/pause" }}
               end)
               return scenario {{ users = {{ User }}, http = {{ {http} }} }}"#
        );
        let mut script = Script::new(&source);
        script.host = Some(server.base.clone());
        script
    };
    for (http, connections) in [("", 3), ("max_connections = 1", 1), ("connection_max_requests = 3", 5), ("keepalive = false", 9)] {
        let lane = script(http).lane();
        lane.live(0, 1);
        assert!(lane.exceptions().is_empty());
        assert_eq!(server.take_connections(), connections, "{http}");
    }
}

#[test]
fn cookies_without_a_url_are_those_of_the_host_to_which_the_users_class_speaks() {
    let (everybodys, its_own) = (Server::start(), Server::start());
    let port = its_own.base.rsplit(':').next().unwrap();
    let source = format!(
        r#"local http, scenario = require "http", require "scenario"
           local Buyer = scenario.user {{ name = "Buyer", host = "http://localhost:{port}" }}
           Buyer:task("buy", function()
             http.get("/set")
             assert(http.cookies.get("a") == "b" and http.cookies.get()["c"] == "d")
             http.cookies.set("n", "1")
             assert(http.get("/echo").body:find("cookie: a=b; c=d; n=1\r\n", 1, true))
             assert(http.cookies.delete("a") and http.cookies.delete("c") and http.cookies.delete("n"))
             assert(not http.get("/echo").body:find("cookie"))
             assert(not http.get("{base}/echo").body:find("cookie"))
             http.defaults {{ host = "{base}" }}
             http.cookies.set("m", "2")
             assert(http.get("/echo").body:find("cookie: m=2\r\n", 1, true))
           end)
           return scenario {{ users = {{ Buyer }} }}"#,
        base = everybodys.base
    );
    for host in [Some(everybodys.base.clone()), None] {
        let mut script = Script::new(&source);
        script.host = host;
        let lane = script.lane();
        lane.live(0, 1);
        let raised = lane.exceptions();
        assert!(raised.is_empty(), "{raised:?}");
    }
    assert_eq!((its_own.served(), everybodys.served()), (6, 4));
}

#[test]
fn a_cookie_can_be_deleted_and_one_of_a_request_takes_the_place_of_the_jars() {
    let server = Server::start();
    run(
        &server,
        r#"http.get("/set")
           local own
           own = http.get("/echo", { cookies = { a = "mine", z = 1 } }).body
           assert(own:find("cookie: c=d; a=mine; z=1\r\n", 1, true), own)
           assert(http.get("/echo").body:find("cookie: a=b; c=d\r\n", 1, true))
           assert(http.cookies.delete("a") == true and http.cookies.delete("a") == false)
           assert(http.get("/echo").body:find("cookie: c=d\r\n", 1, true))
           assert(http.cookies.delete("c", "http://elsewhere.test/") == false and http.cookies.get("c") == "d")
           assert(http.cookies.delete("c", "/deep/path") and not http.get("/echo").body:find("cookie"))"#,
    );
    for (body, why) in [
        ("http.cookies.delete('http://a.test/', 'sid')", "test.lua:3: http.cookies.delete: the cookie's name comes first, then the URL"),
        ("http.cookies.delete()", "test.lua:3: http.cookies.delete: the name must be a string, not a nil"),
        ("http.cookies.delete('a', 7)", "test.lua:3: http.cookies.delete: the URL must be a string, not a number"),
    ] {
        assert_eq!(raised(&server, body), why);
    }
}
