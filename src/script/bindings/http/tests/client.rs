//! What a script says of credentials, connections, redirects and bodies, as the server gets it.

use super::server::Server;
use super::{errors, run};

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
