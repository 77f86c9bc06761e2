//! What Redis says of itself (`INFO`), as far as a cache's probe asks.

use super::reads::Reads;

/// See Redis' documentation of `INFO` for the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Info {
    /// `keyspace_hits` and `keyspace_misses`: every look-up of the server, ours among them.
    pub(crate) lookups: Reads,
    /// `evicted_keys`.
    pub(crate) evicted_keys: u64,
    /// `expired_keys`.
    pub(crate) expired_keys: u64,
    /// `used_memory`.
    pub(crate) memory_bytes: u64,
    /// `maxmemory`; 0 = none.
    pub(crate) memory_max_bytes: u64,
}

impl Info {
    /// Fields that are absent (managed servers leave some out) stay 0.
    pub(crate) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.trim_end().split_once(':')) {
            let field = match name {
                "keyspace_hits" => &mut info.lookups.hits,
                "keyspace_misses" => &mut info.lookups.misses,
                "evicted_keys" => &mut info.evicted_keys,
                "expired_keys" => &mut info.expired_keys,
                "used_memory" => &mut info.memory_bytes,
                "maxmemory" => &mut info.memory_max_bytes,
                _ => continue,
            };
            *field = value.parse().unwrap_or_default();
        }
        info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_among_others() {
        let text = "# Stats\r\nkeyspace_hits:12\r\nkeyspace_misses:3\r\nevicted_keys:1\r\nexpired_keys:x\r\n\r\n# Memory\r\n\
                    used_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:0\r\n";
        let info = Info::parse(text);
        assert_eq!(info.lookups, Reads { hits: 12, misses: 3 });
        assert_eq!((info.evicted_keys, info.expired_keys), (1, 0));
        assert_eq!((info.memory_bytes, info.memory_max_bytes), (1 << 20, 0));
        assert_eq!(Info::parse(""), Info::default());
    }
}
