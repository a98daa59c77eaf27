//! What `lunamoth check` prints: each task, each of its requests in full, each check.

use std::time::Duration;

use crate::front::text::{bytes, duration, escape};
use crate::stats::sample::Phases;

/// One step of the check: a task, or `on_start` and `on_stop`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckedStep {
    /// Such as `Shopper: browse`.
    pub name: String,
    /// Its requests, in the order of their ends.
    pub requests: Vec<CheckedRequest>,
    /// Its checks, in the order in which they were made.
    pub checks: Vec<CheckedCheck>,
    /// What it raised, with the traceback.
    pub exception: Option<String>,
}

/// One hop.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckedRequest {
    /// Such as `GET`.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// The name under which it is counted.
    pub name: String,
    /// The status code; 0 without an answer.
    pub status: u16,
    /// Such as `HTTP/1.1`; empty without an answer.
    pub version: String,
    /// Decoded bytes of the body.
    pub body_bytes: u64,
    /// From the ask to the last byte.
    pub duration: Duration,
    /// Its parts.
    pub phases: Phases,
    /// Why it failed: the kind and what a person reads.
    pub error: Option<(&'static str, String)>,
}

/// One evaluation of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedCheck {
    /// As the script names it.
    pub name: String,
    /// Whether it held.
    pub passed: bool,
}

/// One step as text, with a blank line after.
#[must_use]
pub fn step(step: &CheckedStep) -> String {
    let mut text = format!("{}\n", escape(&step.name));
    for request in &step.requests {
        text.push_str(&self::request(request));
    }
    for check in &step.checks {
        let word = if check.passed { "passed" } else { "FAILED" };
        text.push_str(&format!("  check {word}  {}\n", escape(&check.name)));
    }
    if let Some(exception) = &step.exception {
        let lines: Vec<String> = exception.lines().map(|line| format!("    {}\n", escape(line.trim_start()))).collect();
        text.push_str(&format!("  raised\n{}", lines.concat()));
    }
    if step.requests.is_empty() && step.exception.is_none() {
        text.push_str("  no request\n");
    }
    text.push('\n');
    text
}

/// The last line: how much was done and what failed.
#[must_use]
pub fn summary(steps: &[CheckedStep]) -> String {
    let requests = steps.iter().map(|step| step.requests.len()).sum::<usize>();
    let checks = steps.iter().map(|step| step.checks.len()).sum::<usize>();
    let failed_requests = steps.iter().flat_map(|step| &step.requests).filter(|request| request.error.is_some()).count();
    let failed_checks = steps.iter().flat_map(|step| &step.checks).filter(|check| !check.passed).count();
    let raised = steps.iter().filter(|step| step.exception.is_some()).count();
    format!(
        "steps: {}, requests: {requests} ({failed_requests} failed), checks: {checks} ({failed_checks} failed), raised: {raised}\n",
        steps.len()
    )
}

/// The exit code of `check`: 2 if the script raised, 1 if a request or a check failed, 0 otherwise.
#[must_use]
pub fn exit_code(steps: &[CheckedStep]) -> u8 {
    if steps.iter().any(|step| step.exception.is_some()) {
        2
    } else if steps
        .iter()
        .any(|step| step.requests.iter().any(|request| request.error.is_some()) || step.checks.iter().any(|check| !check.passed))
    {
        1
    } else {
        0
    }
}

fn request(request: &CheckedRequest) -> String {
    let answer = if request.status == 0 {
        "no answer".to_owned()
    } else {
        format!("{} {}, {}", request.version, request.status, bytes(request.body_bytes))
    };
    let mut text = format!("  {} {}  {answer}, {}\n", escape(&request.method), escape(&request.url), duration(request.duration));
    if request.name != request.url {
        text.push_str(&format!("      counted as {} {}\n", escape(&request.method), escape(&request.name)));
    }
    let phases = phases(&request.phases);
    if !phases.is_empty() {
        text.push_str(&format!("      {phases}\n"));
    }
    if let Some((kind, message)) = &request.error {
        text.push_str(&format!("      FAILED  {kind}: {}\n", escape(message)));
    }
    text
}

fn phases(phases: &Phases) -> String {
    let parts = [
        ("blocked", phases.blocked),
        ("dns", phases.dns),
        ("connect", phases.connecting),
        ("tls", phases.tls_handshaking),
        ("send", phases.sending),
        ("wait", phases.waiting),
        ("receive", phases.receiving),
    ];
    let texts: Vec<String> = parts.iter().filter_map(|(name, part)| part.map(|part| format!("{name} {}", duration(part)))).collect();
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
            body_bytes: 1536,
            duration: Duration::from_micros(1_250),
            phases: Phases {
                connecting: Some(Duration::from_micros(200)),
                waiting: Some(Duration::from_micros(1_000)),
                ..Phases::default()
            },
            error: None,
        }
    }

    fn refused() -> CheckedRequest {
        CheckedRequest { status: 0, error: Some(("refused", "connection refused\x1b".to_owned())), phases: Phases::default(), ..answered() }
    }

    #[test]
    fn a_step_shows_its_requests_and_checks_in_full() {
        let checks = vec![CheckedCheck { name: "has a price".to_owned(), passed: false }];
        let shown = CheckedStep { name: "Shopper: browse".to_owned(), requests: vec![answered(), refused()], checks, exception: None };
        insta::assert_snapshot!(step(&shown) + &summary(&[shown]), @r##"
        Shopper: browse
          GET http://127.0.0.1:8080/products/7  HTTP/1.1 200, 1.5 KiB, 1.25ms
              counted as GET /products/:id
              connect 200us  wait 1.00ms
          GET http://127.0.0.1:8080/products/7  no answer, 1.25ms
              counted as GET /products/:id
              FAILED  refused: connection refused\u{1b}
          check FAILED  has a price

        steps: 1, requests: 2 (1 failed), checks: 1 (1 failed), raised: 0
        "##);
    }

    #[test]
    fn a_step_that_raised_shows_the_traceback() {
        let shown =
            CheckedStep { name: "a".to_owned(), exception: Some("a.lua:3: boom\n\ta.lua:3: in f".to_owned()), ..CheckedStep::default() };
        assert_eq!(step(&shown), "a\n  raised\n    a.lua:3: boom\n    a.lua:3: in f\n\n");
    }

    #[test]
    fn a_script_error_outweighs_a_failed_request() {
        let with = |requests: Vec<CheckedRequest>, exception: Option<&str>| {
            vec![CheckedStep { requests, exception: exception.map(str::to_owned), ..CheckedStep::default() }]
        };
        assert_eq!(exit_code(&with(vec![refused()], Some("boom"))), 2);
        assert_eq!(exit_code(&with(vec![refused()], None)), 1);
        assert_eq!(exit_code(&with(vec![answered()], None)), 0);
    }
}
