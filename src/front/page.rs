//! The page and the report as HTML: one file each, with style, script and picture inside, so that no proxy can lose a part of it.
//!
//! Owns how the files under `page/` come together and what the result may do (its Content-Security-Policy). What they show they read
//! themselves: the page from the API, the report from JSON that stands in it.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The live page. `base` is the prefix that a proxy has taken away; `fallback` is HTML for browsers without scripts. Where a token is wanted
/// (`has_login`) it offers a way out, and where workers come in (`workers_port`) it tells how.
#[must_use]
pub(super) fn live(base: Option<&str>, has_login: bool, workers_port: Option<u16>, fallback: &str) -> String {
    let head = base.map(|base| format!("<base href=\"{base}/\">\n")).unwrap_or_default();
    let body = format!("<noscript>\n{fallback}</noscript>\n");
    let login = if has_login { " data-login" } else { "" };
    let port = workers_port.map(|port| format!(" data-workers=\"{port}\"")).unwrap_or_default();
    let app = format!("{login}{port}");
    assemble(FRAME, &[("head", &head), ("icon", &ICON), ("style", STYLE), ("app", &app), ("body", &body), ("script", LIVE)])
}

/// The form that asks for a token, with `words`, plain text of ours, about what was wrong with the last one.
#[must_use]
pub(super) fn login(words: &str) -> String {
    let invalid = if words.is_empty() { "" } else { " aria-invalid=\"true\" aria-describedby=\"wrong\"" };
    let words = if words.is_empty() {
        String::new()
    } else {
        format!("<div class=\"notice bad\" id=\"wrong\" role=\"alert\"><span>{words}</span></div>\n")
    };
    assemble(LOGIN, &[("icon", &ICON), ("style", STYLE), ("words", &words), ("invalid", invalid)])
}

/// What the form may do.
#[must_use]
pub(super) fn login_rules() -> &'static str {
    &LOGIN_RULES
}

/// What the live page may do: run its own script, talk to its own master, and stand in no frame of another site.
#[must_use]
pub(super) fn live_rules() -> &'static str {
    &LIVE_RULES
}

/// The report with `json` inside. It reads nothing from anywhere, and says so to the browser.
#[must_use]
pub(super) fn report(json: &str) -> String {
    let head = format!("<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n", *REPORT_RULES);
    let body = format!(
        "<noscript><p>The report draws its tables and charts by itself, for which it needs JavaScript.</p></noscript>\n{}\n",
        inert(json)
    );
    assemble(FRAME, &[("head", &head), ("icon", &ICON), ("style", STYLE), ("body", &body), ("script", REPORT)])
}

/// What the report may do.
#[must_use]
pub(super) fn report_rules() -> &'static str {
    &REPORT_RULES
}

/// A report in a look of its own, whatever the system's is: the text of [`report`] from `<html` on begins with this instead.
pub(super) const PLAIN_START: &str = "<!doctype html>\n<html lang=\"en\">";

/// JSON as a block that no text in it can end.
fn inert(json: &str) -> String {
    format!("<script type=\"application/json\" id=\"report\">{}</script>", json.replace('<', "\\u003c"))
}

/// A frame with its gaps filled. What fills one gap is not searched for others.
fn assemble(frame: &str, parts: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(frame.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        page.push_str(parts.iter().find(|(part, _)| *part == name).map_or("", |(_, text)| text));
        rest = after;
    }
    page.push_str(rest);
    page
}

fn hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

static ICON: LazyLock<String> =
    LazyLock::new(|| include_str!("page/logo.svg").trim().replace('"', "'").replace('#', "%23").replace('<', "%3C").replace('>', "%3E"));

static LIVE_RULES: LazyLock<String> = LazyLock::new(|| {
    let (style, script) = (hash(STYLE), hash(LIVE));
    format!(
        "default-src 'none'; style-src {style}; script-src {script}; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'"
    )
});

static REPORT_RULES: LazyLock<String> = LazyLock::new(|| {
    let (style, script) = (hash(STYLE), hash(REPORT));
    format!("default-src 'none'; style-src {style}; script-src {script}; img-src data:; form-action 'none'; base-uri 'none'")
});

static LOGIN_RULES: LazyLock<String> = LazyLock::new(|| {
    format!("default-src 'none'; style-src {}; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", hash(STYLE))
});

const FRAME: &str = include_str!("page/page.html");

const LOGIN: &str = include_str!("page/login.html");

const STYLE: &str = concat!(include_str!("page/uplot/uPlot.min.css"), include_str!("page/style.css"));

/// uPlot with its licence, then what page and report share, in one scope; `$last` decides which of the two it becomes.
macro_rules! script {
    ($last:literal) => {
        concat!(
            "/* uPlot\n",
            include_str!("page/uplot/LICENSE"),
            "*/\n",
            include_str!("page/uplot/uPlot.iife.min.js"),
            "\n(() => {\n\"use strict\";\nconst LOGO = `",
            include_str!("page/logo.svg"),
            "`;\n",
            include_str!("page/core.js"),
            include_str!("page/table.js"),
            include_str!("page/chart.js"),
            include_str!("page/views.js"),
            include_str!($last),
            "})();\n"
        )
    };
}

const LIVE: &str = script!("page/live.js");
const REPORT: &str = script!("page/report.js");

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between the first `open` and the next `close`.
    fn between<'a>(text: &'a str, open: &str, close: &str) -> &'a str {
        text.split_once(open).unwrap().1.split_once(close).unwrap().0
    }

    #[test]
    fn the_rules_let_just_the_own_style_and_script_run() {
        for (page, rules, last) in [(live(None, true, None, ""), live_rules(), LIVE), (report("{}"), report_rules(), REPORT)] {
            assert!(rules.contains(&hash(between(&page, "<style>", "</style>"))));
            assert!(page.contains(&format!("<script>{last}</script>")) && rules.contains(&hash(last)));
            assert_eq!(between(&page, "<script>", "</script>"), last);
            assert!(!rules.contains("unsafe") && !page.contains('\r'));
        }
    }

    #[test]
    fn no_address_is_absolute() {
        let own: String = [FRAME, LOGIN, LIVE, REPORT, STYLE].concat().replace(include_str!("page/uplot/uPlot.iife.min.js"), "");
        for start in [
            "href=\"",
            "src=\"",
            "action=\"",
            "url(",
            "fetch(`",
            "fetch(\"",
            "EventSource(\"",
            "assign(\"",
            "@import",
            "link(\"",
            "href: \"",
        ] {
            for rest in own.split(start).skip(1) {
                assert!(!rest.starts_with('/') && !rest.starts_with("http"), "{start}{}", &rest[..rest.len().min(60)]);
            }
        }
        let names_a_site = |line: &&str| line.contains("://") && !line.contains("http://www.w3.org/2000/svg");
        assert_eq!(own.lines().find(names_a_site), None);
    }

    #[test]
    fn what_comes_from_a_run_is_never_read_as_html() {
        let own: String = [FRAME, LIVE, REPORT].concat().replace(include_str!("page/uplot/uPlot.iife.min.js"), "");
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
            assert!(!own.contains(way), "{way}");
        }
    }

    #[test]
    fn the_login_has_the_looks_of_the_page_and_says_what_was_wrong() {
        let page = login("");
        assert!(!page.contains("{{") && !page.contains("<script") && !page.contains("alert"));
        assert!(login_rules().contains(&hash(between(&page, "<style>", "</style>"))) && !login_rules().contains("unsafe"));
        let page = login("the token is wrong");
        assert!(page.contains("role=\"alert\"><span>the token is wrong</span>") && page.contains("aria-describedby=\"wrong\""));
    }

    #[test]
    fn no_text_in_a_report_ends_its_block() {
        let page = report(r#"{"a":"</script><script>alert(1)</script><!--"}"#);
        let block = between(&page, "id=\"report\">", "</script>");
        assert_eq!(block, r#"{"a":"\u003c/script>\u003cscript>alert(1)\u003c/script>\u003c!--"}"#);
        assert_eq!(page.matches("<script").count(), 2);
    }

    #[test]
    fn every_gap_of_the_frame_is_filled_and_the_charts_bear_their_licence() {
        let page = live(Some("/locust"), false, None, "");
        assert!(page.starts_with(PLAIN_START) && page.contains("<base href=\"/locust/\">"));
        assert!(!page.replace(LIVE, "").contains("{{"));
        assert!(page.contains("Permission is hereby granted") && page.contains("<div id=\"app\"></div>"));
        assert!(live(None, true, None, "").contains("<div id=\"app\" data-login></div>"));
        assert!(live(None, false, Some(6_000), "").contains("<div id=\"app\" data-workers=\"6000\"></div>"));
    }
}
