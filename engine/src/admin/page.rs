//! `/`: one page for people, with its style and its script beside it. It needs nothing from elsewhere.
//!
//! The script is written in parts, one concept each, and joined when the engine is compiled: no build step, no loader.

use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str =
    concat!(include_str!("page/theme.css"), include_str!("page/layout.css"), include_str!("page/views.css"));
const ICON: &str = include_str!("page/page.svg");
/// In the order in which they build on each other.
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("page/dom.js"),
    include_str!("page/words.js"),
    include_str!("page/stream.js"),
    include_str!("page/door.js"),
    include_str!("page/facts.js"),
    include_str!("page/health.js"),
    include_str!("page/reach.js"),
    include_str!("page/orders.js"),
    include_str!("page/layers.js"),
    include_str!("page/graph.js"),
    include_str!("page/tree.js"),
    include_str!("page/actor.js"),
    include_str!("page/charts.js"),
    include_str!("page/timeline.js"),
    include_str!("page/ledger.js"),
    include_str!("page/letters.js"),
    include_str!("page/quality.js"),
    include_str!("page/cache.js"),
    include_str!("page/drills.js"),
    include_str!("page/configuration.js"),
    include_str!("page/main.js"),
);
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);
const REFERRER: (HeaderName, &str) = (header::REFERRER_POLICY, "no-referrer");

/// The page.
pub(super) async fn page() -> Response {
    ([POLICY, REFERRER], Html(PAGE)).into_response()
}

/// How it looks.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// What it does.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// Its mark in a tab.
pub(super) async fn icon() -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], ICON).into_response()
}

#[cfg(test)]
mod tests {
    use super::{PAGE, SCRIPT, STYLE};

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_never_writes_markup() {
        let never =
            ["http://", "https://", "@import", "url(", "innerHTML", "outerHTML", "insertAdjacentHTML"];
        let nor = ["document.write", "eval(", "new Function", "javascript:", "localhost"];
        for text in [PAGE, STYLE, SCRIPT] {
            for foreign in never.iter().chain(&nor) {
                assert!(!text.contains(foreign), "the page must not hold `{foreign}`");
            }
        }
    }

    #[test]
    fn nothing_is_inline_so_the_policy_forbids_it() {
        for inline in [" style=", " onclick=", " onload=", "<style"] {
            assert!(!PAGE.contains(inline), "the page must not hold `{inline}`");
        }
        assert_eq!(PAGE.matches("<script").count(), 1);
    }
}
