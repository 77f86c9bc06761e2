//! The wire is cut at chosen moments of a session.

use super::super::kit::PLAIN;
use super::super::stage::Stage;
use super::super::trial::Trial;
use super::{FIRST, RATE, await_struck};
use crate::harness::wire::{How, Moment, When};

/// At each moment of starting, claiming and writing, on either side of its message.
pub fn at_every_protocol_stage(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wire = stage.wire();
    for when in [When::Before, When::After] {
        wire.strike(Moment::ClaimCommit, when, How::Reset);
        trial.fault();
    }
    let load = stage.load(RATE);
    let node = stage.wired("reset", &wire);
    stage.await_progress(FIRST);
    await_struck(&wire, 2);
    for _ in 0..trial.times(1, 20) {
        for moment in Moment::OF_A_START.into_iter().chain(Moment::OF_A_WRITE) {
            for when in [When::Before, When::After] {
                let before = wire.struck();
                wire.strike(moment, when, How::Reset);
                if Moment::OF_A_START.contains(&moment) {
                    wire.reset();
                }
                await_struck(&wire, before + 1);
                trial.fault();
                trial.recovered(stage.time_to_progress());
            }
        }
    }
    stage.judge(trial, load, vec![node]);
    super::none_rejected(trial);
}

/// COMMIT has happened, and nobody says so.
pub fn commit_reply_cut(trial: &mut Trial<'_>) {
    let stage = Stage::set(trial, PLAIN);
    let wire = stage.wire();
    let load = stage.load(RATE);
    let node = stage.wired("unanswered", &wire);
    stage.await_progress(FIRST);
    for cut in 1..=trial.times(5, 50) {
        wire.strike(Moment::Commit, When::After, How::Reset);
        await_struck(&wire, cut);
        trial.fault();
        trial.recovered(stage.time_to_progress());
    }
    stage.judge(trial, load, vec![node]);
    super::none_rejected(trial);
}
