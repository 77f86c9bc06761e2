//! What seeds have found, and what nobody may break again: each holds as the shortest run that shows it.

use super::cases::*;
use super::schedule::End;
use super::sweep::Run;

fn holds(run: &Run) {
    if let Some(failure) = run.failure() {
        panic!("{failure}");
    }
}

#[test]
fn a_letter_that_a_failover_lost_is_written_again() {
    holds(&a_letter_is_lost_in_a_failover());
}

#[test]
fn an_offset_of_a_cache_that_a_failover_lost_is_told_again() {
    [true, false]
        .into_iter()
        .for_each(|required| holds(&an_offset_of_a_cache_is_lost_in_a_failover(required)));
}

#[test]
fn a_source_that_hangs_is_neither_idle_nor_left_alone() {
    [End::Drain, End::DrainWhenIdle].into_iter().for_each(|end| holds(&a_source_hangs(end)));
}

#[test]
fn who_hangs_while_it_is_held_up_is_found_when_nothing_holds_it_up_any_more() {
    ["ticks", "trades"].into_iter().for_each(|actor| holds(&an_actor_hangs_while_it_is_held_up(actor)));
}

#[test]
fn a_cache_that_hangs_with_nothing_to_do_is_found_all_the_same() {
    holds(&a_cache_hangs_with_nothing_to_do());
}

#[test]
fn what_an_earlier_life_of_a_source_had_claimed_is_given_back() {
    holds(&a_partition_goes_while_its_source_is_down());
}

#[test]
fn restarts_that_an_operator_asks_for_speak_against_no_record() {
    ["history", "trades"]
        .into_iter()
        .for_each(|actor| holds(&an_actor_is_restarted_while_it_holds_batches(actor)));
}

#[test]
fn a_record_that_kills_is_condemned_once_under_every_strategy() {
    for strategy in ["one_for_one", "rest_for_one", "one_for_all"] {
        holds(&a_record_kills_its_reader(strategy));
    }
    holds(&a_condemned_record_is_spared_by_the_next_process());
}
