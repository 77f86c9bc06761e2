//! Replays that others were before: killed on the way, told to stop, or late with what they had to say.

use super::*;

/// What a replay that was killed had on its way lands when it lands: here the word that its cache has 20 letters, with the
/// claim of that number.
fn late_word(epoch: i64) -> String {
    LATE_WORD.replace("{epoch}", &epoch.to_string())
}

const LATE_WORD: &str = "\
    CREATE FUNCTION late_word() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE aqueduct.dead_letter SET replayed_to = '{cache}' WHERE id IN (
            SELECT id FROM aqueduct.dead_letter ORDER BY id LIMIT 20);
        RETURN NULL;
    END $$;
    CREATE TRIGGER late_word AFTER INSERT OR UPDATE OF epoch ON aqueduct.offsets FOR EACH ROW
        WHEN (NEW.sink = 'history' AND NEW.input LIKE 'dlq:%' AND NEW.epoch = {epoch}) EXECUTE FUNCTION late_word()";

/// A hundred letters, and a replay during whose claim of that number such a word lands.
fn replayed_beside_a_late_word(epoch: i64) {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=100).map(poisoned));
    run_to_the_end(&world, &file);
    sql.batch(&late_word(epoch));
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let done = json(&world, &["dlq", "replay", path(&fixed)]);
    let told = sql.integer("SELECT count(*) FROM aqueduct.dead_letter WHERE 'cache' = ANY (replayed_to)");
    assert!(told >= 20, "the word was heard");
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT)), (100, 100), "{done}");
    assert_eq!((&done["written"], &done["left"]), (&100.into(), &0.into()), "{done}");
    assert_eq!(sql.integer(PENDING), 0);
}

#[test]
fn a_replay_chooses_after_its_claim_so_that_an_earlier_one_has_had_its_say() {
    replayed_beside_a_late_word(1);
}

/// As after a claim that was lost on the way: letters were chosen, and are half done when it is made anew.
#[test]
fn a_letter_that_was_left_out_is_not_marked_with_its_neighbours_and_gets_a_round_of_its_own() {
    replayed_beside_a_late_word(2);
}

#[test]
fn a_replay_whose_offsets_were_forgotten_claims_above_what_is_marked() {
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=3).map(poisoned));
    run_to_the_end(&world, &file);
    for _ in 0..3 {
        let again = json(&world, &["dlq", "replay", path(&file), "--again"]);
        assert_eq!(again["failed_again"], 3, "{again}");
    }
    sql.batch("DELETE FROM aqueduct.offsets WHERE input LIKE 'dlq:%'");
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let done = json(&world, &["dlq", "replay", path(&fixed), "--again"]);
    assert_eq!((&done["written"], &done["left"]), (&3.into(), &0.into()), "{done}");
    assert_eq!((sql.integer(ROWS), sql.integer(PENDING)), (3, 0));
}

#[test]
fn a_replay_killed_at_random_points_goes_on_and_doubles_nothing() {
    const POISONED: u64 = 40_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=POISONED).map(poisoned));
    run_to_the_end(&world, &file);
    assert_eq!(sql.integer(PENDING), POISONED as i64);
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut killed_on_the_way = 0;
    for _ in 0..8 {
        let before = sql.integer(ROWS);
        let mut replay = world
            .mortal_aqueduct(&[])
            .args(["dlq", "replay", path(&fixed)])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary starts");
        let goal = before + random.i64(1..=4_000);
        wait::until("rows of the replay", BOUND, || {
            let ended = replay.try_wait().expect("wait").is_some();
            (ended || sql.integer(ROWS) >= goal).then_some(())
        });
        std::thread::sleep(Duration::from_millis(random.u64(0..40)));
        replay.kill().expect("kill");
        replay.wait().expect("wait");
        // By one look: what the killed one had committed may still come to light between two.
        assert_eq!(sql.integer("SELECT count(*) - count(DISTINCT id) FROM market.trades"), 0, "doubled");
        let rows = sql.integer(ROWS);
        killed_on_the_way += u32::from(rows < POISONED as i64);
    }
    assert!(killed_on_the_way > 0, "no replay was killed before its end");
    let done = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&done["failed_again"], &done["left"]), (&0.into(), &0.into()), "{done}");
    assert_eq!(sql.integer(ROWS), POISONED as i64);
    assert_eq!(sql.integer(DISTINCT), POISONED as i64);
    assert_eq!(sql.integer(PENDING), 0);
}

#[test]
fn a_replay_that_is_told_to_stop_says_so_and_the_next_one_goes_on() {
    const POISONED: u64 = 60_000;
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=POISONED).map(poisoned));
    run_to_the_end(&world, &file);
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let replay = world
        .mortal_aqueduct(&[])
        .args(["dlq", "replay", path(&fixed)])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary starts");
    wait::until("rows of the replay", BOUND, || (sql.integer(ROWS) > 0).then_some(()));
    signal(&replay, rustix::process::Signal::TERM);
    let output = replay.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    assert!(errors(&output).contains("it was told to stop; what is done is marked"), "{}", errors(&output));
    let rows = sql.integer(ROWS);
    assert_eq!(rows + sql.integer(PENDING), POISONED as i64, "what is written is marked");
    let done = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&done["written"], &done["left"]), (&(POISONED as i64 - rows).into(), &0.into()), "{done}");
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT)), (POISONED as i64, POISONED as i64));
}

#[test]
fn a_replay_that_wakes_up_after_another_has_begun_writes_nothing() {
    const POISONED: u64 = 40_000;
    const END_HOLDERS: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks \
        WHERE locktype = 'advisory' AND granted \
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    const HOLDERS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted \
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let world = World::shared();
    let (file, sql) = world.prepare(TRADES);
    world.send((1..=POISONED).map(poisoned));
    run_to_the_end(&world, &file);
    let fixed = world.write_topology(&TRADES.replace(REQUIRE, ""));
    let mut frozen = world
        .mortal_aqueduct(&[])
        .args(["dlq", "replay", path(&fixed)])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    wait::until("rows of the replay", BOUND, || (sql.integer(ROWS) > 0).then_some(()));
    signal(&frozen, rustix::process::Signal::STOP);
    // As if its network had been cut for so long that the server took its sessions for dead: the lock goes with them.
    sql.rows(END_HOLDERS, &[]);
    wait::until("the lock to be free", BOUND, || (sql.integer(HOLDERS) == 0).then_some(()));
    let done = json(&world, &["dlq", "replay", path(&fixed)]);
    assert_eq!((&done["failed_again"], &done["left"]), (&0.into(), &0.into()), "{done}");
    assert_eq!(sql.integer(ROWS), POISONED as i64);
    signal(&frozen, rustix::process::Signal::CONT);
    let ended = wait::until("the end of the frozen one", BOUND, || frozen.try_wait().expect("wait"));
    assert!(!ended.success(), "it was fenced: {ended}");
    assert_eq!((sql.integer(ROWS), sql.integer(DISTINCT)), (POISONED as i64, POISONED as i64));
    assert_eq!(sql.integer(PENDING), 0);
}

fn signal(process: &std::process::Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(process.id() as i32).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("the process is ours");
}
