//! Looks at every key of a cache all the time: none may show an older value than it has shown.

use super::super::load::KEYS;
use super::super::stage::Stage;
use bb8_redis::redis::{self, Client, Connection, RedisResult};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(5);
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// What was seen.
#[derive(Default)]
struct Seen {
    /// How often every key was read.
    looks: u64,
    newest: BTreeMap<String, i64>,
    lowered: Vec<String>,
}

/// See the module.
pub struct Watch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

impl Watch {
    /// Of the keys of `stage`, on the server of `url`.
    pub fn start(stage: &Stage, url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = Client::open(url).expect("a Redis address");
        let keys: Vec<String> = (0..KEYS).map(|key| format!("{}K{key:02}", stage.world.prefix)).collect();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || look(&client, &keys, &stopping));
        Self { stop, thread: Some(thread) }
    }

    /// How often it looked.
    ///
    /// # Panics
    /// A key went back, or nobody ever answered.
    pub fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.take().expect("it runs").join().expect("it ends well");
        assert!(seen.looks > 0, "no key was ever seen");
        assert!(seen.lowered.is_empty(), "{} keys went back: {}", seen.lowered.len(), seen.lowered[0]);
        seen.looks
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn look(client: &Client, keys: &[String], stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE);
        // A server that is away has nothing to show.
        let Some(mut open) = connection.take().or_else(|| connect(client).ok()) else { continue };
        let Ok(ids) = read(&mut open, keys) else { continue };
        connection = Some(open);
        seen.looks += 1;
        for (key, id) in keys.iter().zip(ids) {
            let Some(id) = id else { continue };
            let newest = seen.newest.entry(key.clone()).or_insert(id);
            if id < *newest {
                seen.lowered.push(format!("{key} from {newest} to {id}"));
            }
            *newest = id.max(*newest);
        }
    }
    seen
}

fn connect(client: &Client) -> RedisResult<Connection> {
    let connection = client.get_connection_with_timeout(ANSWER_MAX)?;
    connection.set_read_timeout(Some(ANSWER_MAX))?;
    Ok(connection)
}

fn read(connection: &mut Connection, keys: &[String]) -> RedisResult<Vec<Option<i64>>> {
    let mut questions = redis::pipe();
    for key in keys {
        questions.hget(key, "id");
    }
    questions.query(connection)
}
