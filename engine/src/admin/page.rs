//! `/`: one page for people. It polls the JSON beside it and needs nothing from elsewhere.

use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = include_str!("page.html");
const POLICY: (HeaderName, &str) = (
    header::CONTENT_SECURITY_POLICY,
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// The page.
pub(super) async fn page() -> Response {
    ([POLICY], Html(PAGE)).into_response()
}

#[cfg(test)]
mod tests {
    use super::PAGE;

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_never_writes_markup() {
        for foreign in
            ["http://", "https://", "src=", "@import", "innerHTML", "insertAdjacentHTML", "document.write"]
        {
            assert!(!PAGE.contains(foreign), "the page must not hold `{foreign}`");
        }
    }
}
