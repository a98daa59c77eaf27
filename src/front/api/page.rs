//! The page at `/`: what runs, three forms, and links to everything else. All links are relative, so that it works behind any prefix.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::documents::worker_count;
use super::path::plain_prefix;
use crate::front::text;
use crate::stats::snapshot::{RunState, Snapshot};

/// The page. `base` is the prefix that a proxy has taken away.
pub(super) fn render(snapshot: &Snapshot, version: &str, base: Option<&str>) -> String {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    if let Some(base) = base {
        let _ = writeln!(page, "<base href=\"{base}/\">");
    }
    page.push_str(HEAD);
    let rows = [
        ("State", state(snapshot.state).to_owned()),
        ("Scenario", snapshot.scenario.clone()),
        ("Host", snapshot.host.clone().unwrap_or_default()),
        ("Workers", worker_count(snapshot).to_string()),
        ("Users", format!("{} of {}", snapshot.users, snapshot.target_users)),
        ("Time", text::clock(snapshot.elapsed)),
        ("Requests", snapshot.total.requests.to_string()),
        ("Failures", snapshot.total.failures.to_string()),
    ];
    page.push_str("<table>\n");
    for (name, value) in rows {
        let _ = writeln!(page, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(&value));
    }
    page.push_str("</table>\n");
    page.push_str(FORMS);
    page.push_str("<ul>\n");
    for link in LINKS {
        let _ = writeln!(page, "<li><a href=\"{link}\">{link}</a></li>");
    }
    let _ = writeln!(page, "</ul>\n<p>Lunamoth {}. This page stands still; load it again for newer numbers.</p>\n</html>", escape(version));
    page
}

/// The prefix that a proxy says it has taken away.
pub(super) fn base(headers: &HeaderMap) -> Option<&str> {
    plain_prefix(headers.get(FORWARDED_PREFIX)?.to_str().ok()?)
}

/// What the page may do: show itself and send its forms here; and stand in no frame of another site.
pub(super) fn rules() -> [(HeaderName, HeaderValue); 1] {
    let rules = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'";
    [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(rules))]
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Ready => "ready",
        RunState::Waiting => "waiting for workers",
        RunState::Spawning => "spawning",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Stopping => "stopping",
        RunState::Stopped => "stopped",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

const HEAD: &str = "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Lunamoth</title>\n<style>\
body{font:1rem/1.5 sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}\
th{text-align:left;padding-right:2rem}form{display:inline-block;margin:.5rem 1rem .5rem 0}input{width:6rem}\
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}a{color:#8cf}}</style>\n</head>\n<h1>Lunamoth</h1>\n";

const FORMS: &str = "<form method=\"post\" action=\"swarm\">\n\
<label>Users <input name=\"user_count\" inputmode=\"numeric\"></label>\n\
<label>Users per second <input name=\"spawn_rate\" inputmode=\"decimal\"></label>\n\
<label>Run time <input name=\"run_time\" placeholder=\"1h20m\"></label>\n<button>Start or re-target</button>\n</form>\n\
<form method=\"post\" action=\"stop\"><button>Stop</button></form>\n\
<form method=\"post\" action=\"stats/reset\"><button>Reset the statistics</button></form>\n";

const LINKS: [&str; 7] = [
    "stats/requests",
    "stats/requests/csv",
    "stats/distribution/csv",
    "stats/failures/csv",
    "exceptions",
    "exceptions/csv",
    "worker-count",
];

const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_is_relative_and_names_of_others_are_text() {
        let snapshot = Snapshot { scenario: "<script>alert('x')</script>".to_owned(), ..Snapshot::default() };
        let page = render(&snapshot, "0.1", None);
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)") && !page.contains("<script"));
        for attribute in ["href=\"", "action=\"", "src=\""] {
            assert!(page.split(attribute).skip(1).all(|rest| !rest.starts_with(['/', 'h'])), "{attribute}");
        }
        assert!(render(&snapshot, "0.1", Some("/locust")).contains("<base href=\"/locust/\">"));
    }
}
