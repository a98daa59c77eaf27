//! A master at the other end of `/api/v1`. Every question has a deadline.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, redirect};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ClientError;
use crate::front::snapshot_json::{AcceptedJson, OrderJson, ProblemJson, RunJson};
use crate::front::text::{escape, shorten};

/// A master, asked over HTTP.
#[derive(Debug, Clone)]
pub struct MasterClient {
    http: Client,
    /// Without a slash at its end.
    url: String,
}

/// How a master is reached.
#[derive(Clone, Default)]
pub struct ClientOptions {
    /// Its base URL, path prefix included.
    pub url: String,
    /// What it lets one in with.
    pub token: Option<String>,
    /// Whom it trusts; without it nobody, so that only plain HTTP is left.
    pub tls: Option<rustls::ClientConfig>,
    /// The environment's proxies are used.
    pub uses_proxy: bool,
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientOptions").field("url", &self.url).finish_non_exhaustive()
    }
}

impl MasterClient {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// The options cannot be used.
    pub fn new(options: &ClientOptions) -> Result<Self, ClientError> {
        let setup = |error: reqwest::Error| ClientError::Setup(format!("the connection to a master cannot be set up: {error}"));
        // A redirect would take the token along to wherever it leads; people are told instead.
        let mut http = Client::builder().redirect(redirect::Policy::none()).connect_timeout(CONNECT);
        http = match &options.tls {
            Some(tls) => http.tls_backend_preconfigured(tls.clone()),
            None => http.tls_certs_only([]),
        };
        if !options.uses_proxy {
            http = http.no_proxy();
        }
        if is_on_this_machine(&options.url) {
            // Packing costs the master more than the bytes that it saves.
            http = http.no_gzip();
        }
        if let Some(token) = &options.token {
            let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                .map_err(|_| ClientError::Setup("the web token cannot be sent in a header".to_owned()))?;
            value.set_sensitive(true);
            http = http.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
        }
        Ok(Self { http: http.build().map_err(setup)?, url: options.url.trim_end_matches('/').to_owned() })
    }

    /// The answer to `GET api/v1/PATH`, read, and as it came, on one line.
    ///
    /// # Errors
    /// There is no such answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(T, String), ClientError> {
        let text = self.ask(Method::GET, path, None, READ).await?;
        Ok((self.read(&text)?, text.trim().to_owned()))
    }

    /// The report of the run, or of the last one.
    ///
    /// # Errors
    /// There is none, or no such answer.
    pub async fn report(&self, is_html: bool) -> Result<String, ClientError> {
        self.ask(Method::GET, if is_html { "report.html" } else { "report" }, None, READ).await
    }

    /// Starts a run. Where one is under way, it is re-targeted, unless the order is for another host or script. What keeps a first run from
    /// its start is told as the master tells it, and not that there is nothing to re-target.
    ///
    /// # Errors
    /// The master has not done it.
    pub async fn swarm(&self, order: &OrderJson) -> Result<(AcceptedJson, String), ClientError> {
        if order.profile.is_some() {
            // Of a run that is under way, and of no other.
            let level = OrderJson { host: None, script: None, ..order.clone() };
            let text = self.ask(Method::PATCH, "run", Some(&level), ACT).await?;
            return Ok((self.read(&text)?, text.trim().to_owned()));
        }
        let text = match self.ask(Method::POST, "run", Some(order), ACT).await {
            Err(declined @ ClientError::Declined { .. })
                if (order.users.is_some() || order.rate.is_some()) && order.scripts_fingerprint.is_none() =>
            {
                let running = self.get::<RunJson>("run").await?.0;
                if !running.state.is_active() || !is_of(order, &running) {
                    return Err(declined);
                }
                let users = OrderJson { host: None, script: None, ..order.clone() };
                self.ask(Method::PATCH, "run", Some(&users), ACT).await?
            }
            answer => answer?,
        };
        Ok((self.read(&text)?, text.trim().to_owned()))
    }

    /// Starts a run, and nothing else.
    ///
    /// # Errors
    /// The master has not done it.
    pub async fn start(&self, order: &OrderJson) -> Result<AcceptedJson, ClientError> {
        self.read(&self.ask(Method::POST, "run", Some(order), ACT).await?)
    }

    /// Gives the run that is under way other users.
    ///
    /// # Errors
    /// The master has not done it.
    pub async fn retarget(&self, order: &OrderJson) -> Result<AcceptedJson, ClientError> {
        self.read(&self.ask(Method::PATCH, "run", Some(order), ACT).await?)
    }

    /// An answer to `GET api/v1/PATH` that goes on: its pieces are the caller's to read. Only its begin has a deadline.
    ///
    /// # Errors
    /// There is no such answer.
    pub async fn open(&self, path: &str) -> Result<Response, ClientError> {
        let request = self.http.get(format!("{}/api/v1/{path}", self.url)).send();
        let late = || self.elsewhere(format!("it has not answered for {} s", READ.as_secs()));
        let response = timeout(READ, request).await.map_err(|_| late())?.map_err(|error| ClientError::unreachable(&self.url, &error))?;
        if let Some(elsewhere) = self.redirected(&response) {
            return Err(elsewhere);
        }
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = timeout(READ, response.text()).await.ok().and_then(Result::ok).unwrap_or_default();
        Err(self.refusal(status, &text))
    }

    /// The next piece of an answer that goes on; `None` at its end.
    ///
    /// # Errors
    /// Nothing came for `limit`, or the connection is gone.
    pub async fn piece(&self, response: &mut Response, limit: Duration) -> Result<Option<Bytes>, ClientError> {
        let late = || self.elsewhere(format!("it has said nothing for {} s", limit.as_secs()));
        let piece = timeout(limit, response.chunk()).await.map_err(|_| late())?;
        piece.map_err(|error| ClientError::unreachable(&self.url, &error))
    }

    /// `stop` or `reset`.
    ///
    /// # Errors
    /// The master has not done it.
    pub async fn act(&self, what: &str) -> Result<(AcceptedJson, String), ClientError> {
        let text = self.ask(Method::POST, &format!("run/{what}"), None, ACT).await?;
        Ok((self.read(&text)?, text.trim().to_owned()))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&OrderJson>, limit: Duration) -> Result<String, ClientError> {
        let mut request = self.http.request(method, format!("{}/api/v1/{path}", self.url)).timeout(limit);
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error| ClientError::unreachable(&self.url, &error);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if let Some(elsewhere) = self.redirected(&response) {
            return Err(elsewhere);
        }
        let text = response.text().await.map_err(unreachable)?;
        if status.is_success() { Ok(text) } else { Err(self.refusal(status, &text)) }
    }

    fn redirected(&self, response: &Response) -> Option<ClientError> {
        let place = response.status().is_redirection().then(|| response.headers().get(LOCATION))??;
        let place = escape(&String::from_utf8_lossy(place.as_bytes())).into_owned();
        Some(self.elsewhere(format!("it sends on to `{place}`; where that is the master, give it as --url")))
    }

    fn elsewhere(&self, problem: String) -> ClientError {
        ClientError::Elsewhere { url: self.url.clone(), problem }
    }

    fn refusal(&self, status: StatusCode, text: &str) -> ClientError {
        let Some(problem) = serde_json::from_str::<ProblemJson>(text).ok().filter(|problem| problem.status == status.as_u16()) else {
            let words = escape(text.trim());
            let first = shorten(words.lines().next().unwrap_or_default(), 120).into_owned();
            return match status {
                StatusCode::NOT_FOUND => {
                    self.elsewhere("status 404: is the path prefix right? It stands behind the port in --url".to_owned())
                }
                _ => self.elsewhere(format!("status {}, `{first}`", status.as_u16())),
            };
        };
        let detail = escape(&problem.detail).into_owned();
        let url = self.url.clone();
        match status {
            StatusCode::UNAUTHORIZED => {
                ClientError::NotLetIn { url, detail, hint: "; --web-token-file FILE or LUNAMOTH_WEB_TOKEN gives the token" }
            }
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => ClientError::NotLetIn { url, detail, hint: "" },
            StatusCode::CONFLICT => ClientError::Declined { detail },
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                self.elsewhere(format!("{detail}; is the path prefix right, and the master's version not older than 0.1.0?"))
            }
            status if status.is_client_error() => {
                let field = problem.field.filter(|field| !detail.starts_with(field.as_str()));
                let detail = field.map_or_else(|| detail.clone(), |field| format!("{}: {detail}", escape(&field)));
                ClientError::Parameter { detail }
            }
            status => ClientError::Failing { url, status: status.as_u16(), detail },
        }
    }

    fn read<T: DeserializeOwned>(&self, text: &str) -> Result<T, ClientError> {
        serde_json::from_str(text).map_err(|_| self.elsewhere("what answers is no master: is the path prefix right?".to_owned()))
    }
}

/// Whether the order names the host and the script of this run, as far as it names any: in a master's container both stand in the
/// environment.
fn is_of(order: &OrderJson, run: &RunJson) -> bool {
    let same = |asked: &Option<String>, own: &str, plain: fn(&str) -> &str| asked.as_ref().is_none_or(|asked| plain(asked) == plain(own));
    same(&order.host, run.host.as_deref().unwrap_or_default(), |host| host.trim_end_matches('/'))
        && same(&order.script, &run.script, |script| script.trim_end_matches(".lua"))
}

/// For name look-up, connect and TLS.
const CONNECT: Duration = Duration::from_secs(10);

/// For what is shown.
const READ: Duration = Duration::from_secs(15);

/// For what is done: a start waits for the stop before it.
const ACT: Duration = Duration::from_secs(130);

/// Whether what a URL leads to needs no network.
fn is_on_this_machine(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn a_master_on_this_machine_is_told_from_one_elsewhere() {
        for here in ["http://127.0.0.1:8089/locust", "https://localhost", "http://[::1]:8089"] {
            assert!(is_on_this_machine(here), "{here}");
        }
        for elsewhere in ["http://lunamoth-master:8089", "http://10.0.0.1", "https://localhost.example", "no address"] {
            assert!(!is_on_this_machine(elsewhere), "{elsewhere}");
        }
    }
    use crate::front::console::ExitCode;

    fn client(url: &str) -> MasterClient {
        drop(rustls::crypto::ring::default_provider().install_default());
        MasterClient::new(&ClientOptions { url: url.to_owned(), token: Some("open sesame 1234".to_owned()), ..ClientOptions::default() })
            .unwrap()
    }

    fn refusal(status: u16, field: Option<&str>) -> ClientError {
        let problem =
            ProblemJson { status, detail: "because \u{1b}[2J".to_owned(), field: field.map(str::to_owned), ..ProblemJson::default() };
        client("http://a/").refusal(StatusCode::from_u16(status).unwrap(), &serde_json::to_string(&problem).unwrap())
    }

    #[test]
    fn a_refusal_has_its_exit_code_and_the_masters_words_made_harmless() {
        for (status, code) in [
            (400, ExitCode::BadUse),
            (401, ExitCode::ClusterLost),
            (403, ExitCode::ClusterLost),
            (404, ExitCode::ClusterLost),
            (409, ExitCode::RequestsFailed(1)),
            (422, ExitCode::BadUse),
            (429, ExitCode::ClusterLost),
            (503, ExitCode::ClusterLost),
        ] {
            let error = refusal(status, None);
            assert_eq!(error.exit_code(), code, "{error}");
            let text = error.to_string();
            assert!(text.contains("because") && !text.contains('\x1b') && !text.contains("sesame"), "{text}");
        }
        assert!(refusal(422, Some("users")).to_string().starts_with("users: because"));
    }

    #[test]
    fn what_is_no_master_is_told_from_one() {
        let client = client("http://a/locust/");
        assert_eq!(client.url, "http://a/locust");
        let text = client.refusal(StatusCode::NOT_FOUND, "<html>no such page").to_string();
        assert!(text.starts_with("there is no API of a master at http://a/locust: ") && text.contains("path prefix"), "{text}");
        assert!(client.read::<AcceptedJson>("<html>").unwrap_err().to_string().contains("is no master"));
    }

    /// A master that says what is in `answers`, one after the other, and gives the lines that it was asked with.
    async fn master(answers: &'static [(&'static str, &'static str)]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                asked.push(String::from_utf8(head).unwrap().lines().next().unwrap().to_owned());
                let length = body.len();
                let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            asked
        });
        (url, asked)
    }

    const NO_WORKER: (&str, &str) = ("409 Conflict", r#"{"type":"about:blank","title":"Conflict","status":409,"detail":"no worker"}"#);

    #[tokio::test]
    async fn what_keeps_a_first_run_from_its_start_is_told() {
        let (url, asked) = master(&[NO_WORKER, ("200 OK", RUN_OF_NONE)]).await;
        let order = OrderJson { users: Some(3), ..OrderJson::default() };
        let error = client(&url).swarm(&order).await.unwrap_err();
        assert_eq!(error.to_string(), "the master declines: no worker");
        assert_eq!(asked.await.unwrap(), ["POST /api/v1/run HTTP/1.1", "GET /api/v1/run HTTP/1.1"]);
    }

    const RUN_OF_NONE: &str =
        r#"{"run":"","state":"ready","scenario":"","script":"","host":null,"users":0,"target_users":0,"elapsed_s":0.0,"planned_s":null}"#;

    #[tokio::test]
    async fn a_run_that_is_under_way_is_retargeted() {
        const RUNNING: &str = r#"{"run":"a","state":"running","scenario":"","script":"","host":null,"users":0,"target_users":0,"elapsed_s":0.0,"planned_s":null}"#;
        let accepted = ("202 Accepted", r#"{"run":"a","host":null,"message":"users: 3"}"#);
        let (url, asked) = master(Box::leak(Box::new([NO_WORKER, ("200 OK", RUNNING), accepted]))).await;
        let order = OrderJson { users: Some(3), ..OrderJson::default() };
        assert_eq!(client(&url).swarm(&order).await.unwrap().0.message, "users: 3");
        assert_eq!(asked.await.unwrap()[2], "PATCH /api/v1/run HTTP/1.1");
    }

    #[test]
    fn an_order_that_names_the_runs_own_host_and_script_is_of_that_run() {
        let run = RunJson { host: Some("http://shop:8080".into()), script: "main.lua".into(), ..RunJson::default() };
        let order = |host: &str, script: &str| OrderJson { host: Some(host.into()), script: Some(script.into()), ..OrderJson::default() };
        assert!(is_of(&OrderJson::default(), &run) && is_of(&order("http://shop:8080/", "main"), &run));
        assert!(!is_of(&order("http://other", "main"), &run) && !is_of(&order("http://shop:8080", "other.lua"), &run));
    }

    #[tokio::test]
    async fn nobody_there_may_pass() {
        let error = client("http://127.0.0.1:1").act("stop").await.unwrap_err();
        assert!(error.may_pass() && error.to_string().contains("is it running"), "{error}");
    }
}
