//! Connections that name several hosts, `redis://first:6379,second:6379/0`: each is asked in turn, at every connect.
//!
//! The servers themselves say which of them leads, where one does. Deliberately absent: a memory of who did, Sentinel and
//! Cluster.

use aqueduct_engine::{Class, Error};

/// `url` once for each of its hosts, in their order; everything else as it is.
pub(crate) fn each(url: &str) -> Vec<String> {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    let places = url[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
    let alone = |place: &str| format!("{}{}{}", &url[..places], place.trim(), &url[end..]);
    url[places..end].split(',').map(alone).collect()
}

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

    #[test]
    fn each_host_keeps_all_that_is_common() {
        assert_eq!(
            each("redis://u:p,@one:1,two:2/3?protocol=resp3"),
            ["redis://u:p,@one:1/3?protocol=resp3", "redis://u:p,@two:2/3?protocol=resp3"]
        );
        assert_eq!(each("redis://one,[::1]:7"), ["redis://one", "redis://[::1]:7"]);
        assert_eq!(each("redis://:p@h:1/0"), ["redis://:p@h:1/0"]);
    }
}
