//! A connection's hosts, one at a time: `redis://user@first:6379,second:6379/0`.
//!
//! Several are a primary and its replicas; at each connect the servers themselves say who leads. Deliberately absent: a
//! memory of who did, Sentinel and Cluster.

/// `url` once for each of its hosts, in their order; everything else as it is.
pub(crate) fn each(url: &str) -> Vec<String> {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
    let places = url[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
    let alone = |place: &str| format!("{}{}{}", &url[..places], place.trim(), &url[end..]);
    url[places..end].split(',').map(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
