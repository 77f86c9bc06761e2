//! Who leads and who follows: what an operator does to a pair of databases, or of Redis servers, when one of them is lost.
//!
//! Nothing here decides: a part is promoted when the caller says so, whatever it lacks.

use std::time::Duration;

use crate::error::Error;
use crate::part::{Part, redis};
use crate::sql::Session;
use crate::stack::Stack;
use crate::time::Deadline;
use crate::toxiproxy::Proxy;

/// One request; a promotion may replay what it has received first.
const REQUEST_MAX: Duration = Duration::from_secs(40);
/// One look at a server that may have gone.
const READ_MAX: Duration = Duration::from_secs(5);
/// How long a follower may take to be taken for a synchronous one.
const SYNCHRONOUS_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Reads from one very server, whether it leads or follows.
#[derive(Debug, Clone)]
pub struct Reader {
    session: Session,
    part: Part,
}

impl Reader {
    /// The first column of the first row, which is text.
    ///
    /// # Errors
    /// It does not answer soon, or refuses.
    pub fn text(&self, query: &'static str) -> Result<Option<String>, Error> {
        self.session.text(query, None).map_err(Error::request(format!("ask {}", self.part)))
    }
}

impl Stack {
    /// Reads from `database` on that part, and on no other.
    ///
    /// # Errors
    /// The part is no database of this stack.
    pub fn reader(&self, part: Part, database: &str) -> Result<Reader, Error> {
        Ok(Reader { session: self.session(part, READ_MAX)?.in_database(database), part })
    }

    /// A follower leads from now on.
    ///
    /// # Errors
    /// The part does not follow, or does not answer.
    pub fn promote(&self, part: Part) -> Result<(), Error> {
        self.ours(part, "promoted")?;
        let failed = || format!("promote {part}");
        if matches!(part, Part::Timescale | Part::Standby) {
            let session = self.session(part, REQUEST_MAX)?;
            let promoted = session.text("select pg_promote(true, 30)::text", None);
            return match promoted.map_err(Error::request(failed()))?.as_deref() {
                Some("true") => Ok(()),
                _ => Err(Error::request(failed())("it did not come to lead within 30 s")),
            };
        }
        self.tell_redis(part, &["REPLICAOF", "NO", "ONE"]).map_err(Error::request(failed()))
    }

    /// Starts a part that was lost as a follower of `leader`: a former primary with a copy of the leader's data in place of
    /// its own, a former standby with what it had.
    ///
    /// # Errors
    /// Those of [`Stack::start`]; the leader does not answer.
    pub fn follow(&self, part: Part, leader: Part) -> Result<(), Error> {
        self.ours(part, "made a follower")?;
        self.kill(part)?;
        self.start_behind(part, Some(leader))
    }

    /// A follower hears its leader by way of `proxy` from now on.
    ///
    /// # Errors
    /// The part does not follow, or does not answer.
    pub fn follow_by(&self, part: Part, proxy: &Proxy) -> Result<(), Error> {
        self.ours(part, "led elsewhere")?;
        let failed = || format!("lead {part} by another way");
        let (host, port) = proxy.address().rsplit_once(':').unwrap_or(("127.0.0.1", proxy.address()));
        if matches!(part, Part::Timescale | Part::Standby) {
            const BY_PORT: &str = "select format('alter system set primary_conninfo = %L', \
                pg_catalog.regexp_replace(current_setting('primary_conninfo'), '\\mport=''?\\d+''?', 'port=' || $1::text))";
            let session = self.session(part, REQUEST_MAX)?;
            return session
                .execute_formatted(BY_PORT, port)
                .and_then(|()| session.batch("select pg_reload_conf()"))
                .map_err(Error::request(failed()));
        }
        self.tell_redis(part, &["REPLICAOF", host, port]).map_err(Error::request(failed()))
    }

    /// From now on `leader` answers no commit before a follower has it; returns when a follower is there for that.
    ///
    /// # Errors
    /// It does not answer, or nobody follows it.
    pub fn commit_synchronously(&self, leader: Part) -> Result<(), Error> {
        const FOLLOWERS: &str = "select count(*)::text from pg_stat_replication where sync_state = 'sync'";
        let doing = || format!("have {leader} commit synchronously");
        let session = self.session(leader, REQUEST_MAX)?;
        session
            .batch("alter system set synchronous_standby_names = '*'")
            .and_then(|()| session.batch("select pg_reload_conf()"))
            .map_err(Error::request(doing()))?;
        let followed = || (session.text(FOLLOWERS, None).ok()?? != "0").then_some(());
        let waited = Deadline::after(SYNCHRONOUS_WITHIN).poll(PAUSE, followed);
        waited.ok_or_else(|| Error::request(doing())(format!("nobody follows after {SYNCHRONOUS_WITHIN:?}")))
    }

    /// From now on `leader` answers commits alone; those that wait are answered.
    ///
    /// # Errors
    /// It does not answer.
    pub fn commit_alone(&self, leader: Part) -> Result<(), Error> {
        let session = self.session(leader, REQUEST_MAX)?;
        session
            .batch("alter system set synchronous_standby_names = ''")
            .and_then(|()| session.batch("select pg_reload_conf()"))
            .map_err(Error::request(format!("have {leader} commit alone")))
    }

    fn session(&self, part: Part, patience: Duration) -> Result<Session, Error> {
        let known = matches!(part, Part::Timescale | Part::Standby).then(|| self.address(part)).flatten();
        let url = known.ok_or_else(|| Error::Unusable(format!("{part} is no database of this stack")))?;
        let session = Session::new(&url, patience).map_err(Error::request(format!("ask {part}")))?;
        Ok(session.believing(self.trust.as_ref()))
    }

    fn tell_redis(&self, part: Part, words: &[&str]) -> Result<(), String> {
        let url = self.address(part).ok_or_else(|| format!("this stack was brought up without {part}"))?;
        match redis::ask(&url, self.trust.as_ref(), words, REQUEST_MAX)?.as_str() {
            answer if answer.starts_with("+OK") => Ok(()),
            other => Err(format!("{} answered `{other}`", words[0])),
        }
    }
}

/// The address of `part`'s server with another host and port in front of its own, for clients that try one after the other.
#[must_use]
pub fn with_hosts(address: &str, hosts: &[&str]) -> String {
    let (before, rest) = address.rsplit_once('@').map_or_else(
        || {
            address
                .split_once("://")
                .map_or((String::new(), address), |(scheme, rest)| (format!("{scheme}://"), rest))
        },
        |(login, rest)| (format!("{login}@"), rest),
    );
    let after = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
    format!("{before}{}{after}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_take_the_place_of_the_one_of_an_address() {
        let both = ["a:1", "b:2"];
        assert_eq!(with_hosts("postgres://u:p@h:5/x?y=z", &both), "postgres://u:p@a:1,b:2/x?y=z");
        assert_eq!(with_hosts("redis://h:6379/0", &both), "redis://a:1,b:2/0");
    }
}
