//! Every procedure that has a drill. A new one is a variant here, its line in [`Procedure::drill`], and one in [`PRACTISED`].

use super::{Drill, backfill, export, failover, restore, rotation};
use clap::Parser;

#[derive(clap::Subcommand)]
pub(crate) enum Procedure {
    /// Lose an hour of a table, and fill it again beside live load.
    Backfill(backfill::Arguments),
    /// Export a table to Parquet, killed in the middle and taken up again, and verify it.
    Export(export::Arguments),
    /// Lose a region, and go on from the other.
    Failover(failover::Arguments),
    /// Lose the database, and bring it back from a base backup and from Kafka.
    Restore(restore::Arguments),
    /// Exchange every login and the certificates while rows are written.
    Rotation(rotation::Arguments),
}

impl Procedure {
    /// Its drill.
    pub(super) fn drill(&self) -> &dyn Drill {
        match self {
            Procedure::Backfill(arguments) => arguments,
            Procedure::Export(arguments) => arguments,
            Procedure::Failover(arguments) => arguments,
            Procedure::Restore(arguments) => arguments,
            Procedure::Rotation(arguments) => arguments,
        }
    }
}

/// How `drill all` has a procedure practised.
pub(super) struct Practised {
    /// As the command line names it; its playbook is `config/runbooks/NAME.md`.
    pub(super) name: &'static str,
    /// The words by which it is soon done.
    pub(super) short: &'static [&'static str],
}

/// In the order in which `drill all` carries them out.
pub(super) const PRACTISED: [Practised; 5] = [
    Practised { name: "failover", short: &["--rate", "500"] },
    Practised { name: "restore", short: &["--rows", "5000", "--after", "3"] },
    Practised { name: "backfill", short: &["--trades", "6000"] },
    Practised { name: "rotation", short: &["--rate", "1000"] },
    Practised { name: "export", short: &["--rows", "50000"] },
];

impl Practised {
    /// The words of its command, after `aqueduct drill`.
    pub(super) fn words(&self, is_short: bool, i_know: bool) -> Vec<&'static str> {
        let mut words = vec![self.name];
        words.extend(is_short.then_some(self.short).into_iter().flatten());
        words.extend(i_know.then_some("--i-know"));
        words
    }
}

/// The procedure that those words ask for.
pub(super) fn parse(words: &[&str]) -> Result<Procedure, clap::Error> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(subcommand)]
        procedure: Procedure,
    }
    Ok(Line::try_parse_from(["drill"].iter().chain(words))?.procedure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Subcommand;

    #[test]
    fn every_procedure_is_practised_by_words_that_it_understands() {
        let command = Procedure::augment_subcommands(clap::Command::new("drill"));
        let mut known: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let mut practised = PRACTISED.map(|one| one.name);
        known.sort_unstable();
        practised.sort_unstable();
        assert_eq!(known, practised);
        for one in PRACTISED {
            assert!(parse(&one.words(true, true)).is_ok_and(|found| found.drill().common().i_know));
            assert!(parse(&one.words(false, false)).is_ok_and(|found| !found.drill().common().i_know));
        }
    }
}
