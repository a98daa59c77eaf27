//! What `lunamoth check` prints: each task, each of its requests in full, each check.

use std::time::Duration;

use super::masking;
use crate::front::text::{bytes, duration, escape};
use crate::stats::sample::Phases;

/// One step of the check: a task, or `on_start` and `on_stop`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckedStep {
    /// Such as `Shopper: browse`.
    pub name: String,
    /// What it did, in the order in which it was done.
    pub events: Vec<CheckedEvent>,
}

/// One thing that a step did.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckedEvent {
    /// A hop, at its end.
    Request(Box<CheckedRequest>),
    /// A check, held or not.
    Check(CheckedCheck),
    /// An error, with the traceback.
    Raised(String),
}

impl CheckedStep {
    fn requests(&self) -> impl Iterator<Item = &CheckedRequest> {
        self.events.iter().filter_map(|event| if let CheckedEvent::Request(request) = event { Some(&**request) } else { None })
    }

    fn checks(&self) -> impl Iterator<Item = &CheckedCheck> {
        self.events.iter().filter_map(|event| if let CheckedEvent::Check(check) = event { Some(check) } else { None })
    }

    fn raised(&self) -> bool {
        self.events.iter().any(|event| matches!(event, CheckedEvent::Raised(_)))
    }
}

/// A hop, as a person looks at it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckedRequest {
    /// Such as `GET`.
    pub method: String,
    /// The whole URL, with its query.
    pub url: String,
    /// The name under which it is counted.
    pub name: String,
    /// The status code; 0 without an answer.
    pub status: u16,
    /// Such as `HTTP/1.1`; empty without an answer.
    pub version: String,
    /// Bytes of the unpacked body; `None` where nobody unpacked it.
    pub body_bytes: Option<u64>,
    /// From the ask to the last byte.
    pub duration: Duration,
    /// The parts of its time.
    pub phases: Phases,
    /// Why it failed: the kind and what a person reads.
    pub error: Option<(&'static str, String)>,
    /// Its headers and bodies, with -v.
    pub exposed: Option<Exposed>,
}

/// Headers, one a line, and the beginnings of bodies, as they went over the wire; masked when they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exposed {
    /// What the script had sent.
    pub request_headers: String,
    /// The beginning of the body that was sent.
    pub request_body: String,
    /// The headers of the answer.
    pub headers: String,
    /// The beginning of the answer's body, unpacked.
    pub body: String,
}

/// One evaluation of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedCheck {
    /// As the script names it.
    pub name: String,
    /// Whether the check held.
    pub passed: bool,
}

/// One step as text, with a blank line after.
#[must_use]
pub fn step(step: &CheckedStep) -> String {
    let mut text = format!("{}\n", escape(&step.name));
    for event in &step.events {
        match event {
            CheckedEvent::Request(request) => text.push_str(&self::request(request)),
            CheckedEvent::Check(check) => {
                let word = if check.passed { "passed" } else { "FAILED" };
                text.push_str(&format!("  check {word}  {}\n", escape(&check.name)));
            }
            CheckedEvent::Raised(exception) => {
                let lines: Vec<String> = exception.lines().map(|line| format!("    {}\n", escape(line.trim_start()))).collect();
                text.push_str(&format!("  raised\n{}", lines.concat()));
            }
        }
    }
    if step.requests().next().is_none() && !step.raised() {
        text.push_str("  no request\n");
    }
    text.push('\n');
    text
}

/// The last line: how much was done and what failed.
#[must_use]
pub fn summary(steps: &[CheckedStep]) -> String {
    let requests = steps.iter().flat_map(CheckedStep::requests).count();
    let checks = steps.iter().flat_map(CheckedStep::checks).count();
    let failed_requests = steps.iter().flat_map(CheckedStep::requests).filter(|request| request.error.is_some()).count();
    let failed_checks = steps.iter().flat_map(CheckedStep::checks).filter(|check| !check.passed).count();
    let raised = steps.iter().filter(|step| step.raised()).count();
    format!(
        "steps: {}, requests: {requests} ({failed_requests} failed), checks: {checks} ({failed_checks} failed), raised: {raised}\n",
        steps.len()
    )
}

/// The exit code of `check`: 2 if the script raised, 1 if a request or a check failed, 0 otherwise.
#[must_use]
pub fn exit_code(steps: &[CheckedStep]) -> u8 {
    if steps.iter().any(CheckedStep::raised) {
        2
    } else if steps.iter().any(|step| step.requests().any(|request| request.error.is_some()) || step.checks().any(|check| !check.passed)) {
        1
    } else {
        0
    }
}

fn request(request: &CheckedRequest) -> String {
    let answer = if request.status == 0 {
        "no answer".to_owned()
    } else {
        let body = request.body_bytes.map_or_else(|| "a packed body".to_owned(), bytes);
        format!("{} {}, {body}", request.version, request.status)
    };
    let mut text =
        format!("  {} {}  {answer}, {}\n", escape(&request.method), escape(&masking::url(&request.url)), duration(request.duration));
    if request.name != request.url {
        text.push_str(&format!("      counted as {} {}\n", escape(&request.method), escape(&request.name)));
    }
    if let Some(exposed) = &request.exposed {
        text.push_str(&self::exposed(exposed, request.body_bytes));
    }
    let phases = phases(&request.phases);
    if !phases.is_empty() {
        text.push_str(&format!("      {phases}\n"));
    }
    if let Some((kind, message)) = &request.error {
        let took = if message.starts_with("expected at most ") { format!(", took {}", duration(request.duration)) } else { String::new() };
        text.push_str(&format!("      FAILED  {kind}: {}{took}\n", escape(message)));
    }
    text
}

/// What went out behind `>`, what came in behind `<`.
fn exposed(exposed: &Exposed, body_bytes: Option<u64>) -> String {
    let mut text = String::new();
    for (mark, block, body, whole) in
        [('>', &exposed.request_headers, &exposed.request_body, None), ('<', &exposed.headers, &exposed.body, body_bytes)]
    {
        for line in masking::headers(block) {
            text.push_str(&format!("      {mark} {}\n", escape(&line)));
        }
        let is_cut = whole.is_some_and(|whole| whole > body.len() as u64) || body.len() >= BODY_BYTES;
        for line in masking::body(body).lines().take(BODY_LINES) {
            text.push_str(&format!("      {mark}   {}\n", escape(line)));
        }
        if is_cut || body.lines().count() > BODY_LINES {
            text.push_str(&format!("      {mark}   ...\n"));
        }
    }
    text
}

/// As many bytes of a body as the script room keeps.
const BODY_BYTES: usize = 4 << 10;
/// Lines of a body that are shown.
const BODY_LINES: usize = 40;

fn phases(phases: &Phases) -> String {
    let texts: Vec<String> =
        phases.words().iter().filter_map(|(name, part)| part.map(|part| format!("{name} {}", duration(part)))).collect();
    texts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered() -> CheckedRequest {
        CheckedRequest {
            method: "GET".to_owned(),
            url: "http://127.0.0.1:8080/products/7".to_owned(),
            name: "/products/:id".to_owned(),
            status: 200,
            version: "HTTP/1.1".to_owned(),
            body_bytes: Some(1536),
            duration: Duration::from_micros(1_250),
            phases: Phases {
                connecting: Some(Duration::from_micros(200)),
                waiting: Some(Duration::from_micros(1_000)),
                ..Phases::default()
            },
            error: None,
            exposed: None,
        }
    }

    fn step_of(events: Vec<CheckedEvent>) -> CheckedStep {
        CheckedStep { name: "Shopper: browse".to_owned(), events }
    }

    fn requested(request: CheckedRequest) -> CheckedEvent {
        CheckedEvent::Request(Box::new(request))
    }

    fn refused() -> CheckedRequest {
        CheckedRequest { status: 0, error: Some(("refused", "connection refused\x1b".to_owned())), phases: Phases::default(), ..answered() }
    }

    #[test]
    fn a_step_shows_its_requests_and_checks_in_full() {
        let check = CheckedEvent::Check(CheckedCheck { name: "has a price".to_owned(), passed: false });
        let shown = step_of(vec![requested(answered()), check, requested(refused())]);
        insta::assert_snapshot!(step(&shown) + &summary(&[shown]), @r##"
        Shopper: browse
          GET http://127.0.0.1:8080/products/7  HTTP/1.1 200, 1.5 KiB, 1.25ms
              counted as GET /products/:id
              connect 200us  wait 1.00ms
          check FAILED  has a price
          GET http://127.0.0.1:8080/products/7  no answer, 1.25ms
              counted as GET /products/:id
              FAILED  refused: connection refused\u{1b}

        steps: 1, requests: 2 (1 failed), checks: 1 (1 failed), raised: 0
        "##);
    }

    #[test]
    fn a_step_that_raised_shows_the_traceback() {
        let raised = CheckedEvent::Raised("a.lua:3: boom\n\ta.lua:3: in f".to_owned());
        let shown = CheckedStep { name: "a".to_owned(), events: vec![raised] };
        assert_eq!(step(&shown), "a\n  raised\n    a.lua:3: boom\n    a.lua:3: in f\n\n");
    }

    #[test]
    fn a_script_error_outweighs_a_failed_request() {
        let raised = CheckedEvent::Raised("boom".to_owned());
        assert_eq!(exit_code(&[step_of(vec![requested(refused()), raised])]), 2);
        assert_eq!(exit_code(&[step_of(vec![requested(refused())])]), 1);
        assert_eq!(exit_code(&[step_of(vec![requested(answered())])]), 0);
    }

    #[test]
    fn headers_and_bodies_are_shown_masked_and_a_limit_of_time_with_what_it_took() {
        let exposed = Exposed {
            request_headers: "authorization: Bearer abc\r\n".to_owned(),
            request_body: r#"{"password":"hush"}"#.to_owned(),
            headers: "content-type: text/plain\n".to_owned(),
            body: "one\ntwo\x1b".to_owned(),
        };
        let slow = Some(("expect", "expected at most 1ms".to_owned()));
        let shown = step(&step_of(vec![requested(CheckedRequest { exposed: Some(exposed), error: slow, ..answered() })]));
        insta::assert_snapshot!(shown, @r##"
        Shopper: browse
          GET http://127.0.0.1:8080/products/7  HTTP/1.1 200, 1.5 KiB, 1.25ms
              counted as GET /products/:id
              > authorization: Bearer ***
              >   {"password":"***"}
              < content-type: text/plain
              <   one
              <   two\u{1b}
              <   ...
              connect 200us  wait 1.00ms
              FAILED  expect: expected at most 1ms, took 1.25ms
        "##);
    }
}
