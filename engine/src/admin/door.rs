//! Who may come in: the Host check against DNS rebinding, and the bearer token.

use super::Desk;
use super::bounds::too_many;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Every request passes here; every answer gets the headers that keep a browser honest.
pub(super) async fn admit(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let hosts = request.headers().get_all(header::HOST);
    let is_ours = |host: &HeaderValue| host.to_str().is_ok_and(is_loopback);
    // Whoever names two lets the reader choose; none of them may lead elsewhere.
    if desk.loopback && !(hosts.iter().next().is_some() && hosts.iter().all(is_ours)) {
        let sentence = "this endpoint answers to localhost only; the request names another host\n";
        return (StatusCode::MISDIRECTED_REQUEST, sentence).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Whether a Host header names this machine and nothing a DNS answer could point here.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Lets an order pass if it carries the token; else the answer to give.
pub(super) fn order(desk: &Desk, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let refusal = |refusal: (StatusCode, &'static str)| Err(Box::new(refusal.into_response()));
    let Some(token) = &desk.token else {
        return refusal((
            StatusCode::FORBIDDEN,
            "orders are off: this node has no admin token; set AQUEDUCT_ADMIN_TOKEN\n",
        ));
    };
    if !desk.allowances.may_guess() {
        return Err(Box::new(too_many("too many wrong tokens; no token is looked at for a second\n")));
    }
    let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
    let given = given
        .and_then(|given| given.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match given {
        Some((_, given)) if same(given.trim().as_bytes(), token.expose_secret().as_bytes()) => Ok(()),
        given => {
            if given.is_some() {
                desk.allowances.guessed();
            }
            refusal((
                StatusCode::UNAUTHORIZED,
                "this needs the header `Authorization: Bearer <admin token>`\n",
            ))
        }
    }
}

/// Lets a reader of payloads pass: anybody on this machine, beyond it who carries the token.
pub(super) fn payload(desk: &Desk, headers: &HeaderMap) -> Result<(), Box<Response>> {
    if desk.loopback { Ok(()) } else { order(desk, headers) }
}

/// Takes as long for a near miss as for a far one.
fn same(given: &[u8], token: &[u8]) -> bool {
    !token.is_empty() && bool::from(given.ct_eq(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in ["localhost", "LOCALHOST:9464", "127.0.0.1:9464", "127.1.2.3", "[::1]:9464"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn tokens_match_whole_or_not_at_all() {
        assert!(same(b"secret", b"secret"));
        for given in [&b""[..], b"secre", b"secret1", b"Secret"] {
            assert!(!same(given, b"secret"));
        }
        assert!(!same(b"", b""), "an empty token opens nothing");
    }
}
