//! What the demo shop answers where one request leads to the next: a form with a token, pages of a list, a job that takes its time, an upload.
//!
//! Nothing is remembered for them but how many tokens there were: the token of a form is in its cookie, the time of a job in its number.

use std::time::{Duration, Instant};

use hyper::header::{CONTENT_TYPE, COOKIE, HeaderValue, LINK, LOCATION, SET_COOKIE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::answers::{Answer, Refusal, field, json_value, number, only, plain, refusal, typed, with_header, with_session};
use super::state::Shop;

/// `/signin`: a page with a form and a hidden token, which the POST must bring back together with its cookie.
pub(super) fn sign_in(shop: &Shop, head: &Parts, body: &[u8]) -> Result<Response<Answer>, Refusal> {
    only(head, "GET, HEAD, POST, OPTIONS", &[Method::GET, Method::HEAD, Method::POST])?;
    if head.method != Method::POST {
        let token = shop.form_token();
        let page = SIGN_IN.replace("{token}", &token);
        return cookie(html(StatusCode::OK, page), &format!("form={token}; Path=/signin; HttpOnly; SameSite=Lax"));
    }
    let field = |name| field(&head.headers, body, name).unwrap_or_default();
    let token = field("token");
    if token.is_empty() || form_cookie(&head.headers) != Some(&token) {
        return Ok(html(StatusCode::FORBIDDEN, page("Sign in", "The form is not this shop's, or too old.")));
    }
    let (user, password) = (field("user"), field("password"));
    if user.is_empty() || password.is_empty() {
        return Ok(html(StatusCode::UNPROCESSABLE_ENTITY, page("Sign in", "A name and a password are needed.")));
    }
    let user: String = user.chars().take(NAME_LETTERS).collect();
    let session = shop.sessions().open(&user, Instant::now());
    let answer = with_header(plain(StatusCode::SEE_OTHER, Answer::empty()), LOCATION, HeaderValue::from_static("/account"));
    cookie(answer, &format!("session={session}; Path=/; HttpOnly; SameSite=Lax"))
}

/// `/account`: a page with the name of who is signed in.
pub(super) fn account(shop: &Shop, head: &Parts) -> Result<Response<Answer>, Refusal> {
    with_session(shop, &head.headers, |session| {
        html(StatusCode::OK, page("Account", &format!("Signed in as <b id=\"user\">{}</b>.", escaped(&session.user))))
    })
}

/// `/orders?page=N`: a list in pages, each with the URL of the next, in the body and in `Link`.
pub(super) fn orders(head: &Parts) -> Result<Response<Answer>, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "page").map(|(_, value)| value.into_owned());
    let page = asked.map_or(Ok(1), |page| number(&page, PAGES, "pages"))?.max(1);
    let orders: Vec<Value> = (1..=ORDERS_OF_A_PAGE).map(|place| json!({ "id": (page - 1) * ORDERS_OF_A_PAGE + place })).collect();
    let next = (page < PAGES).then(|| format!("/orders?page={}", page + 1));
    let answer = json_value(StatusCode::OK, &json!({ "page": page, "pages": PAGES, "orders": orders, "next": next }));
    let link = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok());
    Ok(match link {
        Some(link) => with_header(answer, LINK, link),
        None => answer,
    })
}

/// POST `/jobs` begins one: 202 and where to look.
pub(super) fn begin_job(shop: &Shop, head: &Parts) -> Result<Response<Answer>, Refusal> {
    only(head, "POST, OPTIONS", &[Method::POST])?;
    let place = format!("/jobs/{}", shop.age().as_millis());
    let answer = json_value(StatusCode::ACCEPTED, &json!({ "state": "running", "url": place }));
    let location = HeaderValue::try_from(place).map_err(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "the job has no place"))?;
    Ok(with_header(answer, LOCATION, location))
}

/// `/jobs/N`: running, and done some time after its begin.
pub(super) fn job(shop: &Shop, begun: &str) -> Result<Response<Answer>, Refusal> {
    let begun = Duration::from_millis(number(begun, u64::from(u32::MAX), "a job")?);
    let state = if shop.age() >= begun + JOB_TIME { "done" } else { "running" };
    Ok(json_value(StatusCode::OK, &json!({ "state": state })))
}

/// POST `/upload`: says which files came, by a form or as the body itself.
pub(super) fn upload(head: &Parts, body: &[u8]) -> Result<Response<Answer>, Refusal> {
    only(head, "POST, OPTIONS", &[Method::POST])?;
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let files = match content_type.strip_prefix("multipart/form-data; boundary=") {
        None => vec![json!({ "bytes": body.len(), "type": content_type })],
        Some(boundary) => parts(body, boundary.trim_matches('"'))
            .ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "the body has no parts between its boundaries"))?,
    };
    Ok(json_value(StatusCode::CREATED, &json!({ "files": files })))
}

/// Name, file name and length of each part.
fn parts(body: &[u8], boundary: &str) -> Option<Vec<Value>> {
    let boundary = format!("--{boundary}");
    let mut found = Vec::new();
    let mut rest = after(body, boundary.as_bytes())?;
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = position(part, format!("\r\n{boundary}").as_bytes())?;
        let (head, content) = (&part[..end], after(&part[..end], b"\r\n\r\n")?);
        let head = String::from_utf8_lossy(&head[..head.len() - content.len()]).into_owned();
        let parameter = |name: &str| {
            head.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split_once('"')).map(|(value, _)| value.to_owned())
        };
        found.push(json!({ "name": parameter("name"), "filename": parameter("filename"), "bytes": content.len() }));
        rest = &part[end + 2 + boundary.len()..];
    }
    Some(found)
}

fn after<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    position(text, mark).map(|at| &text[at + mark.len()..])
}

fn position(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark)
}

fn form_cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix("form="))
}

fn cookie(answer: Response<Answer>, text: &str) -> Result<Response<Answer>, Refusal> {
    let value =
        HeaderValue::try_from(text).map_err(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "the token does not fit into a header"))?;
    Ok(with_header(answer, SET_COOKIE, value))
}

fn html(status: StatusCode, text: String) -> Response<Answer> {
    typed(status, "text/html; charset=utf-8", Answer::whole(text.into()))
}

fn page(title: &str, text: &str) -> String {
    format!("<!doctype html>\n<html lang=\"en\"><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>\n")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const SIGN_IN: &str = "<!doctype html>
<html lang=\"en\"><head><title>Sign in</title></head><body><h1>Sign in</h1>
<form id=\"signin\" action=\"/signin\" method=\"post\">
<input type=\"hidden\" name=\"token\" value=\"{token}\">
<label>Name <input name=\"user\"></label> <label>Password <input type=\"password\" name=\"password\"></label>
<label><input type=\"checkbox\" name=\"remember\"> Remember me</label>
<button name=\"action\" value=\"signin\">Sign in</button>
</form></body></html>
";

const PAGES: u64 = 5;
const ORDERS_OF_A_PAGE: u64 = 20;
const JOB_TIME: Duration = Duration::from_millis(300);
const NAME_LETTERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_upload_are_told_apart() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\nContent-Type: x/y\r\n\r\n\0--B\xff\r\n--B--\r\n";
        let found = parts(body, "B").unwrap();
        assert_eq!(found[0], json!({ "name": "a", "filename": null, "bytes": 1 }));
        assert_eq!(found[1], json!({ "name": "f", "filename": "x.bin", "bytes": 5 }));
        assert_eq!(found.len(), 2);
        for torn in [&b""[..], b"--B\r\nname", b"--B\r\n\r\n--B", b"nothing"] {
            assert!(parts(torn, "B").is_none_or(|parts| parts.is_empty()), "{torn:?}");
        }
    }
}
