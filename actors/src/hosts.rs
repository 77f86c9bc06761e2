//! Connections that name several hosts, of which one takes writes: each is asked in turn, at every connect.

use aqueduct_engine::{Class, Error};

/// Why no host would do. While one of them may come back by itself, waiting is what there is to do.
pub(crate) fn refused(mut errors: Vec<Error>) -> Error {
    if errors.len() == 1 {
        return errors.remove(0);
    }
    let transient = errors.iter().any(|error| error.class == Class::Transient);
    let class = match errors.first() {
        Some(first) if !transient => first.class,
        _ => Class::Transient,
    };
    let messages: Vec<&str> = errors.iter().map(|error| &*error.message).collect();
    Error::new(class, messages.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_waited_for_whatever_another_host_says() {
        let down = || Error::new(Class::Transient, "one is down");
        let wrong = || Error::new(Class::Config, "two knows no such user");
        let both = refused(vec![wrong(), down()]);
        assert_eq!((both.class, &*both.message), (Class::Transient, "two knows no such user; one is down"));
        assert_eq!(refused(vec![wrong(), wrong()]).class, Class::Config);
        assert_eq!(refused(vec![wrong()]).message, "two knows no such user");
    }
}
