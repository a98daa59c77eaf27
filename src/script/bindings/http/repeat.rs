//! The short way of a request that is known: no more than its hop, its sample and its result.
//!
//! Owns what is usual. Where an answer is not (a failure, a redirect, a cookie, something to be judged), `perform` goes on with it as with any other.

use std::rc::Rc;
use std::time::Instant;

use super::detail::{self, Asked, Outcome, Parts};
use super::headers::with_more;
use super::in_flight;
use super::known::Known;
use super::sample::sample_of;
use super::template::Template;
use super::user::UserHttp;
use crate::protocol::http::{Exchange, Request};

/// Makes a known request. Its sample stays pending.
///
/// # Errors
/// What came, which is not the usual answer: nothing has been done with it.
pub(super) async fn repeat(user: &UserHttp, known: &Known, template: &Template, asked: Instant) -> Result<Outcome, Box<Exchange>> {
    #[cfg(test)]
    RUNS.set(RUNS.get() + 1);
    let mut exchange = hop(user, known, template, asked).await;
    if !is_usual(&exchange, template) {
        return Err(Box::new(exchange));
    }
    let id = user.ledger.next_id();
    user.ledger.keep_pending(id, known.entry, sample_of(&exchange), None);
    let status = exchange.status;
    let (packed, large_body) = detail::pack(Parts {
        id,
        asked: Asked::Packed(&known.asked),
        is_tls: known.address.origin.tls,
        history: &[],
        exchange: &mut exchange,
        is_discarded: template.settings.discard.unwrap_or(false),
        is_foreign: known.is_foreign,
    });
    Ok(Outcome { status, failure: None, packed, large_body })
}

async fn hop(user: &UserHttp, known: &Known, template: &Template, asked: Instant) -> Exchange {
    let (settings, shared) = (&template.settings, user.shared());
    let of_jar = if settings.uses_jar.unwrap_or(true) && !template.has_cookie { user.cookies_to(&known.whole, &[]) } else { None };
    let extended = of_jar.map(|line| with_more(&template.block, None, &line));
    let discard = settings.discard.unwrap_or(false);
    let request = Request {
        method: known.method,
        origin: Rc::clone(&known.address.origin),
        path: &known.address.path,
        headers: extended.as_deref().unwrap_or(&template.block),
        has_host: template.has_host,
        body: None,
        asked: Some(asked),
        timeout: settings.timeout.unwrap_or(shared.settings.timeout),
        body_limit: shared.settings.body_limit,
        decode: true,
        discard,
        ends_streams: discard || settings.timeout.is_some(),
        connection: settings.connection.rules(&shared.rules),
    };
    in_flight::exchange(user, &request, known.entry, settings.identity.as_ref()).await
}

/// Whether nothing follows from an answer but its sample and its result.
fn is_usual(exchange: &Exchange, template: &Template) -> bool {
    exchange.failure.is_none() && exchange.status / 100 == 2 && template.settings.expect.is_none() && !exchange.headers.sets_cookies()
}

#[cfg(test)]
thread_local! {
    static RUNS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How many known requests this thread has made so far.
#[cfg(test)]
pub(super) fn runs() -> u64 {
    RUNS.get()
}
