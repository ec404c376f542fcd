//! Nothing that was accepted is forgotten when the process is killed at any moment.

use super::{block, database, verdict, vote};
use crate::SlashingDatabase;
use rand::Rng as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

const PATH_VARIABLE: &str = "SLASHING_PROTECTION_CRASH_TEST";

/// Runs in the child process only: signs as fast as it can and says what was accepted, until it is killed.
#[test]
fn crash_child() {
    let Some(path) = std::env::var_os(PATH_VARIABLE) else {
        return;
    };
    let database = SlashingDatabase::open(Path::new(&path)).unwrap();
    let newest = database.transaction(|transaction| {
        transaction.query_row("SELECT coalesce(max(slot), 0) FROM signed_blocks", [], |row| {
            row.get::<_, i64>(0)
        })
    });
    let first = newest.unwrap().unsigned_abs() + 1;
    let mut out = std::io::stdout().lock();
    for number in first.. {
        let votes = [1, 2, 3].map(|key| vote(key, number, number + 1, 1));
        let answers = database.check_and_insert_attestations(&votes).unwrap();
        if answers.iter().all(Result::is_ok) {
            writeln!(out, "accepted votes {number}").unwrap();
        }
        if database.check_and_insert_block(&block(1, number, 1)).unwrap().is_ok() {
            writeln!(out, "accepted block {number}").unwrap();
        }
        if number % 16 == 0 {
            let keep = number.saturating_sub(1000);
            database.prune(keep.into(), keep.into()).unwrap();
        }
        out.flush().unwrap();
    }
}

#[test]
fn accepted_requests_survive_kill_9_at_random_moments() {
    let (_dir, created) = database(&[1, 2, 3]);
    let path = created.path().to_path_buf();
    drop(created);
    let mut random = rand::rng();
    let mut accepted_in_total = 0;
    for round in 0..30 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tests::crash::crash_child",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PATH_VARIABLE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = random.random_range(1..40);
        let mut accepted = Vec::new();
        while accepted.len() < wanted {
            let line = lines.next().expect("the child signs until it is killed").unwrap();
            accepted.extend(parse(&line));
        }
        // Busy for a random while, so that the kill falls into any phase of a transaction.
        for _ in 0..random.random_range(0..200_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        // What it said before it died counts too.
        accepted.extend(lines.map_while(Result::ok).filter_map(|line| parse(&line)));
        child.wait().unwrap();

        let database = SlashingDatabase::open(&path).unwrap();
        for (what, number) in &accepted {
            let verdicts = if what == "block" {
                let again = database.check_and_insert_block(&block(1, *number, 2)).unwrap();
                assert_eq!(verdict(&again), "DoubleBlockProposal", "round {round}, block {number}");
                vec![database.check_and_insert_block(&block(1, *number, 1)).unwrap()]
            } else {
                let others = [1, 2, 3].map(|key| vote(key, *number, *number + 1, 2));
                for again in database.check_and_insert_attestations(&others).unwrap() {
                    assert_eq!(verdict(&again), "DoubleVote", "round {round}, votes {number}");
                }
                let same = [1, 2, 3].map(|key| vote(key, *number, *number + 1, 1));
                database.check_and_insert_attestations(&same).unwrap()
            };
            for same in verdicts {
                assert_eq!(verdict(&same), "Again", "round {round}, {what} {number}");
            }
        }
        accepted_in_total += accepted.len();
    }
    assert!(accepted_in_total >= 12, "the children signed nothing");
}

fn parse(line: &str) -> Option<(String, u64)> {
    let rest = &line[line.find("accepted ")? + "accepted ".len()..];
    let (what, number) = rest.split_once(' ')?;
    Some((what.to_owned(), number.parse().ok()?))
}
