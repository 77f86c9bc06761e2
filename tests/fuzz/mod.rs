//! What `fuzz/` gives to libFuzzer, here with inputs changed by ourselves from a seed: enough to see that the promises
//! hold on every machine and in CI; the search for rare inputs is libFuzzer's.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

/// `AQUEDUCT_FUZZ_SEED` repeats a run, `AQUEDUCT_FUZZ_INPUTS` says how many inputs each target gets.
#[expect(clippy::disallowed_methods, reason = "a test's own edge")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is needed")))
}

/// Bytes that mean something in one of the languages.
const MEANT: &[u8] = b"{}[]()<>\"',:;#&*!|%@?-+.eE0123456789 \t\r\n\\/=_~$";

/// `seed` with a few bytes replaced, left out, put in, repeated, or cut off; now and then only noise.
fn changed(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    if random.u8(..) < 8 {
        return (0..random.usize(..64)).map(|_| random.u8(..)).collect();
    }
    let mut bytes = random.choice(seeds).expect("a seed").clone();
    for _ in 0..random.usize(..6) {
        let at = random.usize(..=bytes.len());
        let byte = if random.bool() { *random.choice(MEANT).expect("a byte") } else { random.u8(..) };
        match random.u8(..5) {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            3 => {
                let until = random.usize(at..=bytes.len().min(at + 256));
                let again = bytes[at..until].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.insert(at, byte),
        }
    }
    bytes
}

/// Every seed as it is, and `inputs` changed ones.
fn play(name: &str, target: fn(&[u8]), seeds: &[Vec<u8>], inputs: u64) {
    let seed = number("AQUEDUCT_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let inputs = number("AQUEDUCT_FUZZ_INPUTS").unwrap_or(inputs);
    let mut random = fastrand::Rng::with_seed(seed);
    let all = seeds.iter().cloned().chain((0..inputs).map(|_| changed(&mut random, seeds)));
    for (number, input) in all.enumerate() {
        let caught = std::panic::catch_unwind(|| target(&input));
        let shown = || String::from_utf8_lossy(&input).into_owned();
        assert!(caught.is_ok(), "{name}, input {number} of AQUEDUCT_FUZZ_SEED={seed}:\n{}", shown());
    }
}

fn bytes_of<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Vec<Vec<u8>> {
    texts.into_iter().map(|text| text.as_ref().to_vec()).collect()
}

#[test]
fn any_message_has_its_fate_and_leaves_its_neighbours_theirs() {
    let sample = include_str!("../../config/topologies/md-trades/one_of_each.jsonl");
    play("message", targets::message, &bytes_of(sample.lines()), 3_000);
}

#[test]
fn any_message_of_another_format_is_refused_or_read() {
    let seeds = [
        // Avro: one of everything, with an array of one null, and a map of nothing.
        vec![2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, b's', 2, 7, 1, 2, 3, 0, 2, 5, 2, 2, 0, 0, 2, 0, 0],
        // Protobuf: numbers, a text, a message in a list, packed numbers, an entry of a map, a time.
        vec![
            8, 1, 16, 3, 29, 1, 0, 0, 0, 40, 1, 50, 1, b's', 74, 2, 8, 1, 82, 2, 1, 2, 90, 7, 10, 1, b'k',
            18, 2, 8, 1, 114, 2, 8, 1,
        ],
        b"1,\"a \"\"b\"\"\"\r\n2,\n".to_vec(),
    ];
    play("wire", targets::wire, &seeds, 4_000);
}

#[test]
fn any_topology_file_is_understood_or_refused_with_a_reason() {
    let library =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config/topologies")).expect("the library");
    let files = library.map(|entry| entry.expect("an entry").path().join("topology.yaml"));
    let seeds = files.filter_map(|file| std::fs::read(file).ok()).collect::<Vec<_>>();
    assert!(seeds.len() > 5, "the library has topologies");
    play("topology", targets::topology, &seeds, 1_500);
}

#[test]
fn any_bytes_leave_the_admin_endpoint_standing_and_unmoved() {
    let request = |line: &str, headers: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    let token = "Authorization: Bearer guessed\r\n";
    let seeds = bytes_of([
        request("GET /livez", "Connection: close\r\n"),
        request("GET /readyz", ""),
        request("GET /metrics", "Accept-Encoding: gzip\r\n"),
        request("GET /api/topology?form=canonical", ""),
        request("GET /api/actors", "Content-Length: 70000\r\n"),
        request("GET /api/events?after=3", "Accept: text/event-stream\r\nLast-Event-ID: 7\r\n"),
        request("POST /api/drain", token),
        request("POST /api/actors/ticks/restart", token),
        request("POST /api/reload", "Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n",
        request("GET /", "Host: evil.example\r\n"),
    ]);
    play("admin", targets::admin, &seeds, 400);
}
