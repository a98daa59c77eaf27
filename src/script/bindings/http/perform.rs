//! Making calls: a request with its redirects, hop by hop, and several requests at a time.

use std::borrow::Cow;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::super::super::witness::{WitnessedHop, beginning};
use super::address::{Address, is_absolute, is_name, no_host};
use super::detail::{self, Asked, FollowedHop, Outcome, Parts};
use super::expect::{Expect, contradicts_itself};
use super::known::Known;
use super::headers::{Field, block_without, lay_over, said_of, speaks_of, with_more, write_block, write_line};
use super::call::{Call, CallKind, Reply, ReplyKind, Wanted};
use super::options::Options;
use super::repeat::repeat;
use super::sample::{kind_of, sample_of};
use super::template::Template;
use super::user::UserHttp;
use super::{in_flight, look, status};
use crate::stats::tags;
use crate::protocol::http::redirect::{self, NextHop};
use crate::protocol::http::{ConnectionRules, Exchange, Origin, Request, Version};
use crate::stats::recorder::EntryId;
use crate::stats::sample::{FailureKind, Sample};

/// Makes one call for `user`. Its last hops' samples stay pending until the user's next call.
///
/// `class_host` is the base URL of the user's class, where that has one of its own.
pub(super) async fn perform(user: &UserHttp, class_host: Option<&Rc<str>>, call: Call) -> Reply {
    user.ledger.finish();
    let asked = call.asked;
    let kind = match call.kind {
        CallKind::Known(known, template) => ReplyKind::One(again(user, &known, template, asked).await),
        // Boxed, both: what a user has no room for while it thinks.
        CallKind::One(wanted) => Box::pin(one(user, class_host, *wanted, asked)).await,
        CallKind::Batch(all) => Box::pin(batch(user, class_host, all, asked)).await,
    };
    Reply { kind }
}

/// Makes a request that is known.
async fn again(user: &UserHttp, known: &Known, template: Rc<Template>, asked: Instant) -> Outcome {
    match repeat(user, known, &template, asked).await {
        Ok(outcome) => outcome,
        Err(exchange) => Box::pin(Prepared::go_on(user, known, template, asked, *exchange)).await,
    }
}

async fn one(user: &UserHttp, class_host: Option<&Rc<str>>, wanted: Wanted, asked: Instant) -> ReplyKind {
    match Prepared::new(user, class_host, wanted) {
        Ok(mut request) => ReplyKind::One(request.run(user, asked).await),
        Err(mistake) => ReplyKind::Mistake(mistake),
    }
}

async fn batch(user: &UserHttp, class_host: Option<&Rc<str>>, all: Vec<Wanted>, asked: Instant) -> ReplyKind {
    let members: Result<Vec<_>, _> = all
        .into_iter()
        .enumerate()
        .map(|(place, wanted)| Member::new(user, class_host, wanted).map_err(|why| format!("request {}: {why}", place + 1)))
        .collect();
    match members {
        Ok(members) => {
            // Boxed: they are moved before they are polled, and are large.
            let run = |member: Member| {
                Box::pin(async move {
                    match member {
                        Member::Known(known, template) => again(user, &known, template, asked).await,
                        Member::Prepared(mut request) => Box::pin(async move { request.run(user, asked).await }).await,
                    }
                })
            };
            ReplyKind::Batch(all_of(members.into_iter().map(run).collect()).await)
        }
        Err(mistake) => ReplyKind::Mistake(mistake),
    }
}

/// A request of a batch that can go out.
enum Member {
    Known(Rc<Known>, Rc<Template>),
    Prepared(Box<Prepared>),
}

impl Member {
    fn new(user: &UserHttp, class_host: Option<&Rc<str>>, wanted: Wanted) -> Result<Self, String> {
        if let Wanted { method: Cow::Borrowed(method), url, name, options: None, client: None } = &wanted
            && class_host.is_none()
            && let Some((known, template)) = user.known((*method, url.as_bytes(), name.as_deref().map(str::as_bytes)))
        {
            return Ok(Self::Known(known, template));
        }
        Ok(Self::Prepared(Box::new(Prepared::new(user, class_host, wanted)?)))
    }
}

/// A request that can go out.
struct Prepared {
    template: Rc<Template>,
    /// `None` where the template's block goes out as it is.
    block: Option<Vec<u8>>,
    has_host: bool,
    /// The request bears a header `cookie` of the script's own.
    has_cookie: bool,
    /// What a user and password in a URL stand for, and the origin that may have it; `None` where the script speaks of `authorization` itself.
    credentials: Option<(Rc<Origin>, Rc<str>)>,
    method: Cow<'static, str>,
    address: Address,
    name: Option<String>,
    /// As they stand behind the name.
    tags: Rc<str>,
    body: Option<Vec<u8>>,
    cookies: Vec<(String, Vec<u8>)>,
    uses_jar: bool,
    timeout: Duration,
    redirects: u32,
    discard: bool,
    /// The timeout is this request's or its client's own, not the run's.
    has_own_timeout: bool,
    connection: ConnectionRules,
    expect: Option<Rc<Expect>>,
}

impl Prepared {
    fn new(user: &UserHttp, class_host: Option<&Rc<str>>, wanted: Wanted) -> Result<Self, String> {
        let Wanted { method, url, name, options, client } = wanted;
        let template = user.template(client);
        let base = user.base_by(&template, class_host).inspect_err(|why| user.misuse(why))?;
        if base.is_none() && !is_absolute(&url) {
            user.misuse(&no_host(&url));
        }
        let address = user.shared().origins.resolve(url, base.as_deref())?;
        drop(base);
        let mut prepared = Self::usual(user, template, method, address);
        prepared.name = name;
        let speaks_for_itself = options.as_deref().is_some_and(|options| speaks_of(&options.fields, "authorization"));
        if let Some(options) = options {
            prepared.apply(*options);
        }
        if let Some(value) = prepared.address.credentials.take()
            && !speaks_for_itself
            && !speaks_of(&prepared.template.fields, "authorization")
        {
            prepared.credentials = Some((Rc::clone(&prepared.address.origin), value));
        }
        prepared.name = prepared.name.filter(|name| is_name(name));
        if contradicts_itself(prepared.discard, prepared.expect.as_deref()) {
            return Err("option `expect` looks into the body, which `discard` throws away".to_owned());
        }
        Ok(prepared)
    }

    /// A request without options.
    fn usual(user: &UserHttp, template: Rc<Template>, method: Cow<'static, str>, address: Address) -> Self {
        let settings = &template.settings;
        Self {
            method,
            address,
            block: None,
            has_host: template.has_host,
            has_cookie: template.has_cookie,
            credentials: None,
            name: None,
            tags: Rc::clone(&settings.tag_text),
            body: None,
            cookies: Vec::new(),
            uses_jar: settings.uses_jar.unwrap_or(true),
            timeout: settings.timeout.unwrap_or(user.shared().settings.timeout),
            redirects: settings.redirects.unwrap_or(user.shared().settings.redirects),
            discard: settings.discard.unwrap_or(false),
            has_own_timeout: settings.timeout.is_some(),
            connection: settings.connection.rules(&user.shared().rules),
            expect: settings.expect.clone(),
            template,
        }
    }

    fn apply(&mut self, options: Options) {
        let Options { name, query, body, cookies, mut fields, settings } = options;
        self.name = name;
        self.address.add_query(&query);
        self.cookies = cookies;
        if !settings.tags.is_empty() {
            self.tags = tags::text_of(&settings.tags_over(&self.template.settings)).into();
        }
        self.uses_jar = settings.uses_jar.unwrap_or(self.uses_jar);
        self.has_own_timeout |= settings.timeout.is_some();
        self.timeout = settings.timeout.unwrap_or(self.timeout);
        self.redirects = settings.redirects.unwrap_or(self.redirects);
        self.discard = settings.discard.unwrap_or(self.discard);
        self.connection = settings.connection.rules(&self.connection);
        self.expect = settings.expect.or_else(|| self.expect.take());
        // What a script says of its content type, in whichever layer, wins over what follows from the option.
        let own = said_of(&fields, "content-type").or_else(|| said_of(&self.template.fields, "content-type")).map(<[u8]>::to_vec);
        let (bytes, mut content_type) = body.map_or((None, None), |body| {
            let (bytes, content_type) = body.finish(own.as_deref());
            (Some(bytes), content_type)
        });
        self.body = bytes;
        if own.is_some()
            && let Some(completed) = content_type.take()
        {
            lay_over(&mut fields, &[Field::new("content-type", &completed)]);
        }
        if fields.is_empty() && content_type.is_none() {
            return;
        }
        let mut block = Vec::with_capacity(self.template.block.len() + 128);
        if fields.is_empty() {
            block.extend_from_slice(&self.template.block);
        } else {
            let mut all = self.template.fields.clone();
            lay_over(&mut all, &fields);
            self.has_host = super::headers::sends(&all, "host");
            self.has_cookie = speaks_of(&all, "cookie");
            write_block(&all, &mut block);
        }
        if let Some(content_type) = content_type {
            write_line("content-type", &content_type, &mut block);
        }
        self.block = Some(block);
    }

    /// Makes the request and follows its redirects.
    async fn run(&mut self, user: &UserHttp, asked: Instant) -> Outcome {
        let chain = Chain { name: self.name.take(), asked, followed: Vec::new(), is_foreign: user.is_foreign(&self.address) };
        let entry = user.ledger.entry(&self.method, &chain.name_of(self, user));
        // The first hop has the whole time, and no clock is asked for it.
        let exchange = self.hop(user, entry, asked, self.timeout).await;
        self.follow(user, chain, entry, exchange).await
    }

    /// Goes on behind a first hop that came to its end: follows redirects, judges the last answer. Each hop is one sample; the last one stays pending.
    async fn follow(&mut self, user: &UserHttp, mut chain: Chain, mut entry: EntryId, mut exchange: Exchange) -> Outcome {
        loop {
            self.name_whole_limit(&mut exchange);
            if self.uses_jar {
                user.take_cookies(&self.address, &exchange.headers);
            }
            match self.next_hop(user, &exchange) {
                Ok(Some((next, address))) if chain.followed.len() < self.redirects as usize => {
                    let sample = sample_of(&exchange);
                    user.ledger.record(entry, &sample, None);
                    self.show(user, &chain, &exchange, 0, &sample, None);
                    chain.follow(self, user, &exchange);
                    self.turn_to(next, address);
                    entry = user.ledger.entry(&self.method, &chain.name_of(self, user));
                    let hop_asked = Instant::now();
                    let timeout = self.timeout.saturating_sub(hop_asked - chain.asked);
                    exchange = self.hop(user, entry, hop_asked, timeout).await;
                }
                next => {
                    // Where no redirect is followed, the redirect is the answer.
                    let next = if self.redirects > 0 { next } else { Ok(None) };
                    let astray = match next {
                        Ok(None) => None,
                        Ok(Some(_)) => Some((FailureKind::TooManyRedirects, format!("more than {} redirects", self.redirects))),
                        Err(why) => Some((FailureKind::Protocol, why)),
                    };
                    let verdict = match self.expect.as_ref().filter(|expect| look::takes_time(expect, &exchange)) {
                        // Boxed: hardly a request has its body looked at here, and none shall carry the room for it.
                        Some(expect) => {
                            let unjudged = in_flight::Unjudged::new(user, entry, sample_of(&exchange));
                            let verdict = Box::pin(look::judge_body(user, expect, &mut exchange)).await;
                            unjudged.settle();
                            verdict
                        }
                        None => None,
                    };
                    let failure = self.failure_of(&exchange, astray, verdict);
                    return self.finish(user, entry, &mut exchange, &chain, failure);
                }
            }
        }
    }

    /// Goes on behind the first hop of a request that is made again and again (`known`), where its answer is not the usual one.
    async fn go_on(user: &UserHttp, known: &Known, template: Rc<Template>, asked: Instant, exchange: Exchange) -> Outcome {
        let mut request = Self::usual(user, template, Cow::Borrowed(known.method), known.address.clone());
        let chain = Chain { name: known.name.as_deref().filter(|name| is_name(name)).map(str::to_owned), asked, followed: Vec::new(), is_foreign: known.is_foreign };
        request.follow(user, chain, known.entry, exchange).await
    }

    async fn hop(&self, user: &UserHttp, entry: EntryId, asked: Instant, timeout: Duration) -> Exchange {
        let block = self.block.as_deref().unwrap_or(&self.template.block);
        let extended = self.block_with_more(user, block);
        let request = Request {
            method: &self.method,
            origin: Rc::clone(&self.address.origin),
            path: &self.address.path,
            headers: extended.as_deref().unwrap_or(block),
            has_host: self.has_host,
            body: self.body.as_deref(),
            asked: Some(asked),
            timeout,
            body_limit: user.shared().settings.body_limit,
            decode: true,
            discard: self.discard,
            ends_streams: self.discard || self.has_own_timeout,
            connection: self.connection,
        };
        in_flight::exchange(user, &request, entry, self.template.settings.identity.as_ref()).await
    }

    /// A hop behind redirects has what is left of the time; its error names the limit that a person set, so that such errors are one.
    fn name_whole_limit(&self, exchange: &mut Exchange) {
        if let Some(failure) = &mut exchange.failure {
            failure.name_limit(self.timeout);
        }
    }

    /// The header block with the jar's and the request's own cookies and the URL's credentials, if there are any. A header that the script spells
    /// out wins over the jar.
    fn block_with_more(&self, user: &UserHttp, block: &[u8]) -> Option<Vec<u8>> {
        let of_jar = if self.uses_jar && !self.has_cookie { user.cookie_line(&self.address, &self.cookies) } else { None };
        let credentials = self.credentials.as_ref().filter(|(origin, _)| *origin == self.address.origin);
        if of_jar.is_none() && self.cookies.is_empty() && credentials.is_none() {
            return None;
        }
        let mut line = of_jar.unwrap_or_default();
        for (name, value) in &self.cookies {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(name.as_bytes());
            line.push(b'=');
            line.extend_from_slice(value);
        }
        Some(with_more(block, credentials.map(|(_, value)| &**value), &line))
    }

    /// Where a whole answer leads on to.
    ///
    /// # Errors
    /// What is wrong with the place that it names.
    fn next_hop(&self, user: &UserHttp, exchange: &Exchange) -> Result<Option<(NextHop, Address)>, String> {
        if exchange.status / 100 != 3 || exchange.failure.is_some() {
            return Ok(None);
        }
        let Some(current) = self.address.parsed() else { return Ok(None) };
        let next = redirect::next_hop(&self.method, exchange.status, exchange.headers.get("location"), &current)?;
        let Some(next) = next else { return Ok(None) };
        let address = user.shared().origins.resolve(next.url.as_str().to_owned(), None)?;
        Ok(Some((next, address)))
    }

    /// Becomes the request of the next hop.
    fn turn_to(&mut self, next: NextHop, address: Address) {
        let block = self.block.as_deref().unwrap_or(&self.template.block);
        let is_left_behind =
            |name: &str| (!next.keeps_body && redirect::describes_body(name)) || (!next.is_same_origin && redirect::stays_behind(name));
        self.block = Some(block_without(block, is_left_behind));
        if !next.is_same_origin {
            self.has_host = false;
            self.has_cookie = false;
            self.cookies = Vec::new();
        }
        if !next.keeps_body {
            self.body = None;
        }
        if *next.method != *self.method {
            self.method = Cow::Owned(next.method);
        }
        self.address = address;
        // A redirect can bring a user and password of its own.
        if let Some(value) = self.address.credentials.take() {
            self.credentials = Some((Rc::clone(&self.address.origin), value));
        }
    }

    /// Keeps the last hop's sample pending, judged as `failure`.
    fn finish(
        &self,
        user: &UserHttp,
        entry: EntryId,
        exchange: &mut Exchange,
        chain: &Chain,
        failure: Option<(FailureKind, Cow<'static, str>)>,
    ) -> Outcome {
        let mut sample = sample_of(exchange);
        sample.failure = failure.as_ref().map(|(kind, _)| *kind);
        let message = failure.as_ref().map(|(_, message)| message.clone());
        let id = user.ledger.next_id();
        self.show(user, chain, exchange, id, &sample, message.as_deref());
        user.ledger.keep_pending(id, entry, sample, message);
        let status = if exchange.failure.is_some() { 0 } else { exchange.status };
        let (packed, large_body) = detail::pack(Parts {
            id,
            asked: Asked::Anew { name: chain.name.as_deref().or(self.name.as_deref()), method: &self.method, address: &self.address },
            is_tls: self.address.origin.tls,
            history: &chain.followed,
            exchange,
            is_discarded: self.discard,
            is_foreign: chain.is_foreign,
        });
        Outcome { status, failure: failure.map(Box::new), packed, large_body }
    }

    /// Shows a hop to the witness of `check`.
    fn show(&self, user: &UserHttp, chain: &Chain, exchange: &Exchange, id: u64, sample: &Sample, message: Option<&str>) {
        user.ledger.show(|| WitnessedHop {
            id,
            method: self.method.to_string(),
            url: self.address.url(),
            name: chain.name_of(self, user).into_owned(),
            version: match exchange.version {
                _ if exchange.status == 0 => "",
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
                Version::Http2 => "HTTP/2",
            },
            sample: sample.clone(),
            message: message.map(str::to_owned),
            request_headers: {
                let block = self.block.as_deref().unwrap_or(&self.template.block);
                self.block_with_more(user, block).unwrap_or_else(|| block.to_vec())
            },
            request_body: beginning(self.body.as_deref().unwrap_or_default()),
            headers: exchange.headers.iter().map(|(name, value)| (name.into_owned(), value.to_vec())).collect(),
            body: beginning(&exchange.body.beginning()),
        });
    }

    /// `verdict` is that on the body, where it has been judged already.
    fn failure_of(
        &self,
        exchange: &Exchange,
        astray: Option<(FailureKind, String)>,
        verdict: Option<Result<(), String>>,
    ) -> Option<(FailureKind, Cow<'static, str>)> {
        if let Some(failure) = &exchange.failure {
            return Some((kind_of(failure.kind), Cow::Owned(failure.message.clone())));
        }
        if let Some((kind, why)) = astray {
            return Some((kind, Cow::Owned(why)));
        }
        if exchange.status >= 400 && !self.expect.as_ref().is_some_and(|expect| expect.states_status()) {
            return Some((FailureKind::Status, status::spell(exchange.status)));
        }
        let why = self.expect.as_ref()?.judge(exchange, verdict).err()?;
        Some((FailureKind::Expect, Cow::Owned(why)))
    }
}

/// What a chain of redirects has seen so far.
struct Chain {
    /// The request's name; the default one only once a redirect was followed.
    name: Option<String>,
    /// When the script asked.
    asked: Instant,
    followed: Vec<FollowedHop>,
    is_foreign: bool,
}

impl Chain {
    /// The name of the hop that comes next: the request's own for the first one, `NAME > METHOD /path` for the others.
    fn name_of<'a>(&'a self, request: &'a Prepared, user: &UserHttp) -> Cow<'a, str> {
        let name = match &self.name {
            Some(name) if !self.followed.is_empty() => {
                Cow::Owned(format!("{name} > {} {}", request.method, user.name_of(&request.address)))
            }
            Some(name) => Cow::Borrowed(name.as_str()),
            None => user.name_of(&request.address),
        };
        user.tagged(name, &request.tags, &request.address)
    }

    /// Notes a hop that is followed.
    fn follow(&mut self, request: &Prepared, user: &UserHttp, exchange: &Exchange) {
        self.name.get_or_insert_with(|| user.name_of(&request.address).into_owned());
        let (method, url, total) = (request.method.clone(), request.address.url(), exchange.timings.total);
        self.followed.push(FollowedHop { method, url, status: exchange.status, total });
    }
}

/// Awaits all of `futures` at a time; the results are in their order. Each is polled only where it was woken, so that many cost no more than as many single
/// ones; and after each that has ended whatever else is ready has its turn, so that a user of many connections keeps its neighbours from theirs no longer
/// than a user of one does.
async fn all_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    let mut under_way: FuturesUnordered<_> =
        futures.into_iter().enumerate().map(|(place, future)| async move { (place, future.await) }).collect();
    while let Some((place, output)) = under_way.next().await {
        outputs[place] = Some(output);
        if !under_way.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    outputs.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn whoever_has_many_futures_that_are_ready_lets_others_have_a_turn_after_each() {
        let turns = Cell::new(0);
        let neighbour = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let many = all_of((0..100).map(std::future::ready).collect());
        let outputs = tokio::select! {
            outputs = many => outputs,
            () = neighbour => Vec::new(),
        };
        assert_eq!(outputs, (0..100).collect::<Vec<_>>());
        assert!(turns.get() >= 90, "{} turns", turns.get());
    }
}
