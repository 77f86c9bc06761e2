//! The one place where this crate reads the environment.

/// The variable's value; unset, empty or not Unicode is `None`.
#[expect(clippy::disallowed_methods, reason = "this is the edge where the environment is read")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
