//! `aqueduct backfill FILE --from T0 --to T1`.
//!
//! Rows of a time range come into their table again: from the log, from a file, or from an export, through the topology's own actors, beside
//! the live topology, whose offsets, members and lag it leaves alone. What was begun is recorded; the same command goes on
//! with it wherever it was cut.

mod input;
mod judge;
mod lag;
mod options;
mod prepare;
mod print;
mod watch;
mod work;

use crate::environment::host_name;
use crate::exit::Exit;
use crate::output::say;
use crate::{file, stores};
use anyhow::{Result, bail};
use aqueduct_actors::backfill::{self, Way};
use aqueduct_actors::timescale::{TableName, Timescale};
use aqueduct_engine::Clock;
use input::Input;
pub(crate) use options::Arguments;
use prepare::Prepared;
use std::sync::Arc;

/// What a topology without a database keeps there, as messages say it.
const WHAT: &str = "its tables";

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let read = file::read(&arguments.file)?.accepted()?;
    let topology = prepare::as_asked(&read, arguments)?;
    let way = match Way::find(&topology, arguments.table.as_deref()) {
        Ok(way) => way,
        Err(why) => return stores::wrong(why),
    };
    if let Some(id) = arguments.abandon {
        return give_up(way, id);
    }
    let range = arguments.range()?;
    let input = Input::new(arguments);
    stores::block_on(async {
        let connection = stores::database(&topology, WHAT).await?;
        let node: Arc<str> = host_name().into();
        let prepared = prepare::prepare(arguments, (way, range, &input), &connection, &node).await?;
        if arguments.dry_run {
            let judged = judge::judge(arguments, &prepared, &topology, &connection).await?;
            input.done();
            return print::dry_run(&prepared, &judged, arguments.format);
        }
        exclude_others(&connection, &prepared.wish.table).await?;
        // Whoever was at work until now may have ended it, or begun one.
        let Prepared { wish, parts, records, .. } =
            prepare::prepare(arguments, (way, range, &input), &connection, &node).await?;
        let (entry, resumed) = prepare::begin_or_take_up(&connection, &wish, parts).await?;
        if resumed {
            say!("backfill {} was begun before: it goes on from where it stood", entry.id);
        }
        let Some(database) = &topology.connections.timescale else {
            bail!("invariant: the table lies in the topology's database");
        };
        let timescale = Timescale::new(database, &topology.name.value, &node, Clock::system())?;
        let done = work::run(arguments, (&wish, entry, records), (&topology, timescale), &connection).await?;
        if done.cut.is_none() {
            input.done();
        }
        print::done(&done, resumed, arguments.format)
    })
}

async fn exclude_others(
    connection: &aqueduct_actors::timescale::Connection,
    table: &TableName,
) -> Result<()> {
    if stores::answered(backfill::exclude_others(connection, table).await)? {
        return Ok(());
    }
    bail!(
        "another backfill of `{}` is at work: wait until it has ended, or end it; what it has done is recorded, and the same \
         command goes on with it",
        table.plain()
    )
}

fn give_up(way: Way<'_>, id: i64) -> Result<Exit> {
    let (name, table) = (way.topology_name(), way.table());
    let topology = way.topology();
    stores::block_on(async {
        let connection = stores::database(topology, WHAT).await?;
        let running = stores::answered(backfill::unfinished(&connection, name, table).await)?;
        let Some(entry) = running.into_iter().find(|entry| entry.id == id) else {
            bail!("no backfill {id} of `{table}` waits to be finished");
        };
        exclude_others(&connection, &TableName::parse(table)?).await?;
        stores::answered(backfill::abandon(&connection, name, &entry).await)?;
        say!("backfill {id} of `{table}` is given up: the {} rows that it had added stay", entry.added);
        Ok(Exit::Ok)
    })
}
