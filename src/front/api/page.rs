//! The page at `/` and the report at `/stats/report`, as answers. For browsers without scripts the page says what runs, in words, and has
//! three forms. All links are relative, so that it works behind any prefix.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;

use super::path::plain_prefix;
use super::reply::{HTML, text};
use super::requests::worker_count;
use super::{ApiContext, packing};
use crate::front::snapshot_json::StateJson;
use crate::front::{page, text as words};
use crate::stats::snapshot::Snapshot;

/// The page. `base` is the prefix that a proxy has taken away.
pub(super) fn render(snapshot: &Snapshot, context: &ApiContext, base: Option<&str>) -> String {
    let rest = plain(snapshot, &context.version);
    page::live(base, context.access.token.is_some(), context.workers_port, &rest)
}

/// What a browser without scripts shows.
fn plain(snapshot: &Snapshot, version: &str) -> String {
    let mut plain = String::from("<main><h1>Lunamoth</h1>\n<table>\n");
    let rows = [
        ("State", StateJson::from(snapshot.state).name().to_owned()),
        ("Scenario", snapshot.scenario.clone()),
        ("Host", snapshot.host.clone().unwrap_or_default()),
        ("Workers", worker_count(snapshot).to_string()),
        ("Users", format!("{} of {}", snapshot.users, snapshot.target_users)),
        ("Time", words::clock(snapshot.elapsed)),
        ("Requests", snapshot.total.requests.to_string()),
        ("Failures", snapshot.total.failures.to_string()),
    ];
    for (name, value) in rows {
        let _ = writeln!(plain, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(&value));
    }
    plain.push_str("</table>\n");
    plain.push_str(FORMS);
    plain.push_str("<ul>\n");
    for link in LINKS {
        let _ = writeln!(plain, "<li><a href=\"{link}\">{link}</a></li>");
    }
    let version = escape(version);
    let _ = writeln!(
        plain,
        "</ul>\n<p>Lunamoth {version}. Without JavaScript this page stands still; load it again for newer numbers.</p></main>"
    );
    plain
}

/// The page with what it may do.
pub(super) fn answer(asked: &HeaderMap, page: String) -> Response {
    let rules = [(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(page::live_rules()))];
    packing::answer(asked, page.into(), |page| (rules, text(HTML, page)).into_response())
}

/// The report with what it may do, in the look that is asked for.
pub(super) fn report(asked: &HeaderMap, report: Bytes, theme: Option<&str>, is_download: bool) -> Response {
    let body = match theme {
        Some(theme) => {
            let start = page::PLAIN_START.trim_end_matches('>');
            [format!("{start} data-theme=\"{theme}\">").as_bytes(), report.get(page::PLAIN_START.len()..).unwrap_or_default()]
                .concat()
                .into()
        }
        None => report,
    };
    let rules = format!("{}; frame-ancestors 'none'", page::report_rules());
    let mut response = packing::answer(asked, body, |body| ([(header::CONTENT_SECURITY_POLICY, rules)], text(HTML, body)).into_response());
    if is_download {
        let file = HeaderValue::from_static("attachment; filename=\"lunamoth-report.html\"");
        response.headers_mut().insert(header::CONTENT_DISPOSITION, file);
    }
    response
}

/// The prefix that a proxy says it has taken away.
pub(super) fn base(headers: &HeaderMap) -> Option<&str> {
    plain_prefix(headers.get(FORWARDED_PREFIX)?.to_str().ok()?)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

const FORMS: &str = "<form method=\"post\" action=\"swarm\">\n\
<label>Users <input name=\"user_count\" inputmode=\"numeric\"></label>\n\
<label>Users per second <input name=\"spawn_rate\" inputmode=\"decimal\"></label>\n\
<label>Run time <input name=\"run_time\" placeholder=\"1h20m\"></label>\n<button>Start or re-target</button>\n</form>\n\
<form method=\"post\" action=\"stop\"><button>Stop</button></form>\n\
<form method=\"post\" action=\"stats/reset\"><button>Reset the statistics</button></form>\n";

const LINKS: [&str; 8] = [
    "stats/report",
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
        let page = plain(&snapshot, "0.1");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)") && !page.contains("<script>alert"));
        for attribute in ["href=\"", "action=\"", "src=\""] {
            assert!(page.contains(attribute) || attribute == "src=\"");
            assert!(page.split(attribute).skip(1).all(|rest| !rest.starts_with(['/', 'h'])), "{attribute}");
        }
    }
}
