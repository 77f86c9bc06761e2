//! What the page of a node shows of the stores: dead letters and drills, from the topology's database.
//!
//! Each answer is read over a connection of its own, which is closed with it: one that waits for a slow answer takes none
//! from the actors' pool, and whoever stops waiting leaves nothing behind.

mod replay;

use aqueduct_actors::services::Services;
use aqueduct_actors::timescale::{Connection, Timescale};
use aqueduct_actors::{dlq, drills};
use aqueduct_engine::archive::{Drill, LetterChoice, LetterGroup, LetterSample};
use aqueduct_engine::events::Events;
use aqueduct_engine::limits::{ARCHIVE_ROWS_MAX, LETTER_SAMPLE_BYTES_MAX};
use aqueduct_engine::{Archive, Class, Error};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The archive of one node.
pub(crate) struct NodeArchive {
    topology: Arc<str>,
    /// The database of the topology at work; another one after some reloads.
    timescale: Mutex<Option<Timescale>>,
    /// The topology's file, absolute: what is pasted elsewhere must find it.
    file: Option<PathBuf>,
}

impl NodeArchive {
    pub(crate) fn new(services: &Services, file: Option<&Path>) -> Self {
        let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
        let topology = services.topology.name.value.as_str().into();
        Self { topology, timescale: Mutex::new(services.timescale.clone()), file }
    }

    /// Another topology is at work.
    pub(crate) fn follow(&self, services: &Services) {
        *self.timescale.lock().unwrap_or_else(PoisonError::into_inner) = services.timescale.clone();
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let timescale = self.timescale.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match timescale {
            Some(timescale) => timescale.connect_anywhere().await,
            None => {
                let message = "the topology has no `connections.timescale`, so its letters are in a topic and nothing can be \
                               looked up";
                Err(Error::new(Class::Config, message))
            }
        }
    }

    async fn groups(&self) -> Result<Vec<LetterGroup>, Error> {
        let connection = self.connect().await?;
        let counts = dlq::counts(&connection, &self.topology, &dlq::Filter::default()).await?;
        let limits = (LETTER_SAMPLE_BYTES_MAX as i32, ARCHIVE_ROWS_MAX as i64);
        let samples = dlq::samples(&connection, &self.topology, limits).await?;
        let mut samples: BTreeMap<_, _> =
            samples.into_iter().map(|s| ((s.actor.clone(), s.reason.clone()), sample(s))).collect();
        let mut groups: Vec<LetterGroup> = Vec::new();
        for count in counts {
            let known = groups.iter().position(|g| g.actor == count.actor && g.reason == count.reason);
            let index = known.unwrap_or_else(|| {
                let key = (count.actor.clone(), count.reason.clone());
                groups.push(LetterGroup {
                    new: 0,
                    failed_again: 0,
                    replayed: 0,
                    oldest_us: i64::MAX,
                    newest_us: 0,
                    sample: samples.remove(&key),
                    actor: key.0,
                    reason: key.1,
                });
                groups.len() - 1
            });
            let group = &mut groups[index];
            match count.state.as_str() {
                "new" => group.new = count.letters,
                "replayed" => group.replayed = count.letters,
                _ => group.failed_again = count.letters,
            }
            group.oldest_us = group.oldest_us.min(count.oldest_us);
            group.newest_us = group.newest_us.max(count.newest_us);
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.new + group.failed_again));
        groups.truncate(ARCHIVE_ROWS_MAX);
        Ok(groups)
    }
}

fn sample(sample: dlq::Sample) -> LetterSample {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    LetterSample {
        id: sample.id,
        topic: sample.topic,
        partition: sample.partition,
        offset: sample.offset,
        class: sample.class,
        detail: sample.detail,
        at_us: sample.at_us,
        key: sample.key.map(text),
        value: sample.value.map(text),
        bytes: sample.bytes.map(i64::from),
    }
}

impl Archive for NodeArchive {
    fn letters(&self) -> BoxFuture<'_, Result<Vec<LetterGroup>, Error>> {
        Box::pin(self.groups())
    }

    fn drills(&self) -> BoxFuture<'_, Result<Vec<Drill>, Error>> {
        Box::pin(async {
            let connection = self.connect().await?;
            drills::list(&connection, &self.topology, ARCHIVE_ROWS_MAX as i64).await
        })
    }

    fn command(&self, choice: &LetterChoice) -> Option<String> {
        let file = self.file.as_ref()?;
        Some(replay::command_line(file, choice))
    }

    fn replay(&self, choice: LetterChoice, events: Events) -> BoxFuture<'_, Result<String, Error>> {
        Box::pin(async move {
            let Some(file) = &self.file else {
                return Err(Error::new(Class::Config, "the topology does not come from a file"));
            };
            replay::run(file, &choice, events).await
        })
    }
}
