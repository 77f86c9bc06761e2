//! The name of a secret that everybody may see: a digest that two nodes with the same secret agree on.
//!
//! Whoever sees it could try guesses against it. So it is keyed with the place of the secret, made slowly (PBKDF2 with
//! HMAC-SHA256), and cut to 48 bits. A random password of 256 bits, as `aqueduct rotate` makes them, is safe without that.

use sha2::digest::Output;
use sha2::{Digest, Sha256};

/// Rounds: some 50 ms, once for each change of a secret.
const ROUNDS: usize = 100_000;
/// Bytes of the digest that are shown.
const SHOWN_BYTES: usize = 6;
const BLOCK_BYTES: usize = 64;

/// The generation of what `parts` are, at `place`.
pub(super) fn of(place: &str, parts: &[Option<&str>]) -> String {
    let mut key = Sha256::new();
    for part in parts {
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        key.update(length.to_be_bytes());
        key.update(part.unwrap_or_default());
    }
    let mac = Mac::new(&key.finalize());
    let salt = [b"aqueduct secret ", place.as_bytes(), &1_u32.to_be_bytes()].concat();
    let mut round = mac.of(&salt);
    let mut digest = round;
    for _ in 1..ROUNDS {
        round = mac.of(&round);
        digest.iter_mut().zip(round).for_each(|(byte, other)| *byte ^= other);
    }
    digest[..SHOWN_BYTES].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// HMAC-SHA256 with a key of one digest.
struct Mac {
    inner: Sha256,
    outer: Sha256,
}

impl Mac {
    fn new(key: &[u8]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; BLOCK_BYTES];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            Sha256::new().chain_update(block)
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    fn of(&self, message: &[u8]) -> Output<Sha256> {
        let inner = self.inner.clone().chain_update(message).finalize();
        self.outer.clone().chain_update(inner).finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_the_one_of_the_standard() {
        // RFC 4231, test case 2: the key "Jefe".
        let mac = Mac::new(b"Jefe").of(b"what do ya want for nothing?");
        assert_eq!(mac[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn a_generation_is_short_and_its_own_for_each_place_and_secret() {
        let one = of("t/redis/login", &[None, Some("hunter2")]);
        assert!(one.len() == 12 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_eq!(one, of("t/redis/login", &[None, Some("hunter2")]));
        for (place, parts) in [
            ("t/kafka/login", [None, Some("hunter2")]),
            ("t/redis/login", [Some(""), Some("hunter2")]),
            ("t/redis/login", [None, Some("hunter3")]),
        ] {
            assert_ne!(one, of(place, &parts));
        }
    }
}
