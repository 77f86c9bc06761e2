//! Exit codes: part of the contract, so scripts may branch on them.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: what was asked is done.
    Ok,
    /// 1: a check failed, or the command did.
    Failed,
    /// 2: a plan has changes.
    Changes,
    /// 64: the command line was wrong.
    Usage,
    /// 69: a dependency was unavailable: at start with `--fail-fast`, or the node or server a command speaks to.
    Unavailable,
    /// 78: the configuration was refused.
    Refused,
    /// As the runtime said (0, 70, 74, 78).
    Runtime(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::Usage => 64,
            Exit::Unavailable => 69,
            Exit::Refused => 78,
            Exit::Runtime(code) => code,
        })
    }
}

/// The configuration was refused; what is wrong with it is the chain below, or was printed already.
#[derive(Debug, thiserror::Error)]
#[error("the configuration was refused")]
pub(crate) struct RefusedConfiguration;

/// The node that was asked gave no answer; why is the chain below.
#[derive(Debug, thiserror::Error)]
#[error("the node at {0} gave no answer")]
pub(crate) struct NoAnswer(pub(crate) String);

/// A server that a command speaks to was away; what was being done is in the message.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(pub(crate) String);

/// The command line asks for what cannot be; why is the message.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(pub(crate) String);

/// The exit that an error asks for.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    // `is` finds what was given as context too, which is no link of the chain of its own.
    if error.is::<NoAnswer>() || error.is::<Unavailable>() {
        return Exit::Unavailable;
    }
    if error.is::<WrongUsage>() {
        return Exit::Usage;
    }
    let config = |error: &aqueduct_engine::Error| error.class == aqueduct_engine::Class::Config;
    let refused = error.is::<RefusedConfiguration>()
        || error.chain().any(|cause| {
            cause.is::<RefusedConfiguration>()
                || cause.downcast_ref::<aqueduct_engine::Error>().is_some_and(config)
        });
    if refused { Exit::Refused } else { Exit::Failed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn an_exit_is_found_under_whatever_was_said_about_it() {
        let refused = anyhow!("no such file").context("cannot read it").context(RefusedConfiguration);
        assert_eq!(of(&refused.context("while planning")), Exit::Refused);
        assert_eq!(
            of(&anyhow!("refused").context(NoAnswer("http://h".into())).context("more")),
            Exit::Unavailable
        );
        assert_eq!(of(&anyhow::Error::from(RefusedConfiguration)), Exit::Refused);
        assert_eq!(of(&anyhow!("anything else")), Exit::Failed);
    }
}
