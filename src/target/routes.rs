//! What the demo shop answers on each path.
//!
//! Every answer is small or made piece by piece, so that the largest body costs no memory. A mistake of the client is
//! answered in JSON that says what to do. What is remembered between requests is in `state`.

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, HeaderValue, LOCATION, SET_COOKIE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::answers::{
    Answer, Refusal, Routed, field, json_bytes, json_value, number, only, plain, problem, refusal, typed, with_header, with_session,
};
use super::flows;
use super::state::{PROBED, PRODUCTS, Session, Shop, is_known, price_cents};

/// Answers one request. Every request is counted when its head has arrived, except those to `/count`; those to `/healthz`, which probes
/// ask, are counted apart.
pub(super) async fn answer(shop: Arc<Shop>, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let (head, body) = request.into_parts();
    if head.uri.path() != "/count" {
        shop.count(head.uri.path());
    }
    Ok(route(&shop, &head, body).await.unwrap_or_else(|refusal| *refusal))
}

async fn route(shop: &Shop, head: &Parts, body: Incoming) -> Routed {
    let path = head.uri.path();
    let below_root = path.strip_prefix('/').unwrap_or(path);
    let (first, rest) = below_root.split_once('/').map_or((below_root, None), |(first, rest)| (first, Some(rest)));
    match (first, rest) {
        ("echo", None) => return echo(head, body).await,
        ("login", None) => return login(shop, head, body).await,
        ("cart", None) => return cart(shop, head, body).await,
        ("checkout", None) => {
            only(head, "POST, OPTIONS", &[Method::POST])?;
            read(body).await?;
            return with_session(shop, &head.headers, |session| checkout(shop, session));
        }
        ("signin", None) => {
            let body = read(body).await?;
            return flows::sign_in(shop, head, &body);
        }
        ("upload", None) => {
            let body = read(body).await?;
            return flows::upload(head, &body);
        }
        ("jobs", None) => {
            read(body).await?;
            return flows::begin_job(shop, head);
        }
        // The body is of no use to anything else, but whoever sends one shall not be cut off in the middle of it.
        _ => drop(read(body).await?),
    }
    if !matches!(path, "/count" | PROBED) && !is_known(path) {
        return Ok(problem(StatusCode::NOT_FOUND, &format!("nothing at `{path}`; `/` lists what is here")));
    }
    if first != "status" {
        only(head, "GET, HEAD, OPTIONS", &[Method::GET, Method::HEAD])?;
    }
    let last = rest.unwrap_or_default();
    Ok(match first {
        "products" if rest.is_none() => json_bytes(StatusCode::OK, shop.catalogue().list()),
        "products" => product(shop, last),
        "me" => with_session(shop, &head.headers, |session| json_value(StatusCode::OK, &json!({ "user": session.user })))?,
        "healthz" => plain(StatusCode::OK, Answer::whole(Bytes::from_static(b"ok\n"))),
        "account" => flows::account(shop, head)?,
        "orders" => flows::orders(head)?,
        "jobs" => flows::job(shop, last)?,
        "count" => json_value(StatusCode::OK, &shop.count_report()),
        "delay" => delay(last).await?,
        "status" => status(last)?,
        "bytes" => bytes(last)?,
        "flaky" => flaky(shop),
        "gzip" => gzip(),
        "chunked" => chunked(),
        "redirect" => redirect(last)?,
        _ => page(first),
    })
}

fn page(name: &str) -> Response<Answer> {
    let text = match name {
        "" => HOME,
        "about" => ABOUT,
        _ => SEARCH,
    };
    typed(StatusCode::OK, "text/html; charset=utf-8", Answer::whole(Bytes::from_static(text.as_bytes())))
}

fn product(shop: &Shop, number: &str) -> Response<Answer> {
    match number.parse().ok().and_then(|number| shop.catalogue().product(number)) {
        Some(product) => json_bytes(StatusCode::OK, product),
        None => problem(StatusCode::NOT_FOUND, &format!("no product `{number}`; they are numbered 1 to {PRODUCTS}")),
    }
}

/// POST `/login` with `user` in JSON or a form: a token, which the session cookie holds as well.
async fn login(shop: &Shop, head: &Parts, body: Incoming) -> Routed {
    only(head, "POST, OPTIONS", &[Method::POST])?;
    let body = read(body).await?;
    let Some(user) = field(&head.headers, &body, "user") else {
        return Err(refusal(StatusCode::BAD_REQUEST, "a login needs `user`, in JSON or a form"));
    };
    let user: String = user.chars().take(USER_LENGTH_MAX).collect();
    let token = shop.sessions().open(&user, Instant::now());
    let cookie = HeaderValue::try_from(format!("session={token}; Path=/; HttpOnly; SameSite=Lax"))
        .map_err(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "the token does not fit into a header"))?;
    Ok(with_header(json_value(StatusCode::OK, &json!({ "token": token, "user": user })), SET_COOKIE, cookie))
}

async fn cart(shop: &Shop, head: &Parts, body: Incoming) -> Routed {
    only(head, "GET, HEAD, POST, OPTIONS", &[Method::GET, Method::HEAD, Method::POST])?;
    let body = read(body).await?;
    if head.method != Method::POST {
        return with_session(shop, &head.headers, |session| json_value(StatusCode::OK, &cart_value(session.cart())));
    }
    let id = field(&head.headers, &body, "id").and_then(|id| id.parse().ok()).filter(|id| (1..=PRODUCTS).contains(id));
    with_session(shop, &head.headers, |session| match id {
        None => problem(StatusCode::BAD_REQUEST, &format!("a cart takes `id`, a product's number from 1 to {PRODUCTS}")),
        Some(id) if session.put(id) => json_value(StatusCode::CREATED, &json!({ "id": id, "items": session.cart().len() })),
        Some(_) => problem(StatusCode::CONFLICT, "the cart is full; POST /checkout empties it"),
    })
}

fn checkout(shop: &Shop, session: &mut Session) -> Response<Answer> {
    let mut receipt = cart_value(&session.take_cart());
    receipt["order"] = json!(shop.next_order());
    json_value(StatusCode::OK, &receipt)
}

fn cart_value(ids: &[u64]) -> Value {
    let cents: u64 = ids.iter().map(|&id| u64::from(price_cents(id))).sum();
    // A full cart is below 2^53 cents by far, so the division is exact to the cent.
    #[expect(clippy::cast_precision_loss, reason = "bounded by the size of a cart")]
    let total = cents as f64 / 100.0;
    json!({ "items": ids, "total": total })
}

async fn delay(millis: &str) -> Routed {
    let millis = number(millis, DELAY_MILLIS_MAX, "milliseconds")?;
    tokio::time::sleep(Duration::from_millis(millis)).await;
    Ok(json_value(StatusCode::OK, &json!({ "delay_ms": millis })))
}

/// Answers with any status that is not informational, whatever the method.
fn status(code: &str) -> Routed {
    let code = u16::try_from(number(code, 599, "as a status")?).ok().filter(|code| *code >= 200);
    let Some(status) = code.and_then(|code| StatusCode::from_u16(code).ok()) else {
        return Err(refusal(StatusCode::BAD_REQUEST, "a status is a number from 200 to 599"));
    };
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(plain(status, Answer::empty()));
    }
    Ok(json_value(status, &json!({ "status": status.as_u16() })))
}

fn bytes(count: &str) -> Routed {
    let left = number(count, BYTES_MAX, "bytes")?;
    Ok(typed(StatusCode::OK, "application/octet-stream", Answer::Repeated { piece: Bytes::from_static(&PIECE), left }))
}

fn flaky(shop: &Shop) -> Response<Answer> {
    if shop.flaky_fails() {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "every tenth request here fails");
    }
    json_bytes(StatusCode::OK, Bytes::from_static(br#"{"ok":true}"#))
}

fn gzip() -> Response<Answer> {
    let answer = json_bytes(StatusCode::OK, GZIPPED.clone());
    with_header(answer, CONTENT_ENCODING, HeaderValue::from_static("gzip"))
}

fn chunked() -> Response<Answer> {
    let pieces = (1..=CHUNKS).map(|number| Bytes::from(format!("chunk {number} of {CHUNKS}\n"))).collect();
    typed(StatusCode::OK, "text/plain; charset=utf-8", Answer::Pieces(pieces))
}

/// `/redirect/N` leads over N redirects to `/`.
fn redirect(left: &str) -> Routed {
    let left = number(left, u64::from(u32::MAX), "redirects")?;
    let location = if left > 1 { format!("/redirect/{}", left - 1) } else { "/".to_owned() };
    let location = HeaderValue::try_from(location).map_err(|_| refusal(StatusCode::BAD_REQUEST, "not a place to go to"))?;
    Ok(with_header(plain(StatusCode::FOUND, Answer::empty()), LOCATION, location))
}

/// The request as JSON: method, path, query, HTTP version, headers (a list where a name comes twice), body as text.
async fn echo(head: &Parts, body: Incoming) -> Routed {
    let body = read(body).await?;
    let mut headers = serde_json::Map::new();
    for name in head.headers.keys() {
        let mut values: Vec<Value> =
            head.headers.get_all(name).iter().map(|value| json!(String::from_utf8_lossy(value.as_bytes()))).collect();
        let value = if values.len() == 1 { values.swap_remove(0) } else { Value::Array(values) };
        headers.insert(name.as_str().to_owned(), value);
    }
    Ok(json_value(
        StatusCode::OK,
        &json!({
            "method": head.method.as_str(),
            "path": head.uri.path(),
            "query": head.uri.query(),
            "version": format!("{:?}", head.version),
            "headers": headers,
            "body": String::from_utf8_lossy(&body),
        }),
    ))
}

/// The whole body of a request, within a limit of size and time.
async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    match tokio::time::timeout(BODY_TIME_MAX, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, &format!("a body may have {BODY_MAX} bytes")))
        }
        Ok(Err(error)) => Err(refusal(StatusCode::BAD_REQUEST, &format!("the body broke off: {error}"))),
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come to its end")),
    }
}

const HOME: &str = "<!doctype html>
<html lang=\"en\"><head><title>The Moth Lamp Shop</title></head><body>
<h1>The Moth Lamp Shop</h1>
<p>A demo target for load tests. Nothing here is for sale.</p>
<ul>
<li><a href=\"/about\">/about</a>, <a href=\"/search?q=lamp\">/search</a>: pages</li>
<li><a href=\"/products\">/products</a>, <a href=\"/products/7\">/products/N</a>: JSON</li>
<li>POST /login with user: a token and a cookie; then /me, /cart, POST /checkout</li>
<li><a href=\"/signin\">/signin</a>: a form with a token, then <a href=\"/account\">/account</a>; <a href=\"/orders\">/orders?page=N</a>; POST /jobs, then /jobs/N; POST /upload</li>
<li>/delay/MS, /status/CODE, /bytes/N, /flaky, /gzip, /chunked, /redirect/N, /echo</li>
<li><a href=\"/count\">/count</a>: how many requests were served, without those to itself</li>
</ul>
</body></html>
";

const ABOUT: &str = "<!doctype html>
<html lang=\"en\"><head><title>About</title></head><body><h1>About</h1><p>Moths fly to lamps.</p><a href=\"/\">Home</a></body></html>
";

const SEARCH: &str = "<!doctype html>
<html lang=\"en\"><head><title>Search</title></head><body><h1>Search</h1>
<form><input name=\"q\"></form><p>See <a href=\"/products/1\">the first lamp</a>.</p></body></html>
";

/// What `/gzip` sends: a text of some kilobytes, packed once.
static GZIPPED: LazyLock<Bytes> = LazyLock::new(|| {
    let text = json!({ "gzipped": true, "text": "moths fly to lamps; ".repeat(200) }).to_string();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("a vector takes every byte");
    Bytes::from(encoder.finish().expect("a vector takes every byte"))
});

/// What `/bytes/N` repeats.
static PIECE: [u8; 65_536] = [b'm'; 65_536];

const DELAY_MILLIS_MAX: u64 = 60_000;
const BYTES_MAX: u64 = 64 << 20;
const CHUNKS: usize = 8;
const USER_LENGTH_MAX: usize = 100;

/// What a request's body may have, and how long it may take.
const BODY_MAX: usize = 1 << 20;
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
