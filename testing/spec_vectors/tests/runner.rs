//! What the runner itself promises: it finds cases at any level, and never passes what it did not run completely.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use spec_vectors::{Report, run};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const SHUFFLING: &str = "tests/minimal/phase0/shuffling/core/shuffle/shuffle_0";
const CUSTODY: &str = "tests/mainnet/fulu/networking/compute_columns_for_custody_group/pyspec_tests/one";

/// Vectors with one good case of shuffling and one of custody groups.
struct Vectors(TempDir);

impl Vectors {
    fn new() -> Self {
        let vectors = Self(TempDir::new().unwrap());
        let seed = "00".repeat(32);
        vectors.write(
            &format!("{SHUFFLING}/mapping.yaml"),
            &format!("{{seed: '0x{seed}', count: 1, mapping: [0]}}"),
        );
        vectors.write(&format!("{CUSTODY}/meta.yaml"), "{custody_group: 5, result: [5]}");
        vectors
    }

    fn path(&self, place: &str) -> PathBuf {
        self.0.path().join(place)
    }

    fn write(&self, place: &str, text: &str) {
        let path = self.path(place);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn run(&self) -> Report {
        run(self.0.path(), None).unwrap()
    }

    /// Runs all, expects one failure, and gives its path and reason.
    fn failure(&self) -> (PathBuf, String) {
        let report = self.run();
        assert!(!report.is_success());
        let [failure] = report.failures() else {
            panic!("expected one failure: {report}");
        };
        failure.clone()
    }
}

fn assert_fails(vectors: &Vectors, place: &str, said: &str) {
    let (path, reason) = vectors.failure();
    assert!(path.ends_with(place), "{} is not {place}", path.display());
    assert!(reason.contains(said), "{reason}");
}

#[test]
fn finds_cases_from_any_level_of_the_layout() {
    let vectors = Vectors::new();
    assert_eq!(vectors.run().passed(), 2);
    assert!(vectors.run().is_success());
    for directory in Path::new(SHUFFLING).ancestors().filter(|path| path.iter().count() > 1) {
        let report = run(&vectors.0.path().join(directory), None).unwrap();
        assert_eq!(report.passed(), 1, "from {}", directory.display());
        assert!(report.is_success());
    }
}

#[test]
fn report_counts_by_preset_fork_runner_and_handler() {
    let text = Vectors::new().run().to_string();
    for line in [
        "minimal/phase0/shuffling: 1 passed\n    core: 1\n",
        "mainnet/fulu/networking: 1 passed\n    compute_columns_for_custody_group: 1\n",
        "2 passed, 0 failed\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn wrong_outcome_fails_and_names_the_case() {
    let vectors = Vectors::new();
    vectors.write(&format!("{CUSTODY}/meta.yaml"), "{custody_group: 5, result: [6]}");
    assert_fails(&vectors, CUSTODY, "[5], expected [6]");
    assert!(vectors.run().to_string().contains("FAILED"));
}

#[test]
fn each_question_needs_its_answer() {
    let place = "tests/minimal/dvt/networking/get_leader_due_ms/native_dvt/one";
    let due = |input: &str, output: &str| {
        let vectors = Vectors::new();
        vectors.write(
            &format!("{place}/data.yaml"),
            &format!("{{input: {input}, output: {output}}}"),
        );
        vectors
    };
    let ranks = "[{rank: 0}, {rank: 1}]";
    assert!(due(ranks, "[0, 499]").run().is_success());
    assert_fails(
        &due(ranks, "[0, 500]"),
        place,
        "question 1: Given(499), expected Given(500)",
    );
    assert_fails(&due(ranks, "[0, refused]"), place, "expected Refused");
    assert_fails(&due(ranks, "[0]"), place, "2 questions and 1 answers");
    assert_fails(&due("[]", "[]"), place, "0 questions");
}

#[test]
fn a_constant_with_another_value_fails() {
    let place = "tests/minimal/dvt/config/constants/native_dvt/constants";
    for (constants, said) in [
        ("{XMSS_SCHEME: 2}", "XMSS_SCHEME is Some(\"1\"), expected 2"),
        ("{DVT_FORK_VERSION: '0x64767400'}", "expected 0x64767400"),
        ("{NO_SUCH_CONSTANT: 2}", "NO_SUCH_CONSTANT is None"),
    ] {
        let vectors = Vectors::new();
        vectors.write(&format!("{place}/data.yaml"), constants);
        assert_fails(&vectors, place, said);
    }
}

#[test]
fn unreadable_file_fails_and_is_named() {
    let vectors = Vectors::new();
    vectors.write(&format!("{CUSTODY}/meta.yaml"), "custody_group: []");
    assert_fails(&vectors, CUSTODY, "meta.yaml");
}

#[test]
fn file_that_nobody_reads_fails_its_case() {
    let vectors = Vectors::new();
    vectors.write(&format!("{CUSTODY}/post.ssz_snappy"), "");
    assert_fails(&vectors, CUSTODY, "files were not read: [\"post.ssz_snappy\"]");
}

#[test]
fn directory_within_a_case_fails_it() {
    let vectors = Vectors::new();
    vectors.write(&format!("{CUSTODY}/more/meta.yaml"), "");
    assert_fails(&vectors, CUSTODY, "files were not read: [\"more\"]");
}

#[test]
fn case_without_files_fails() {
    let vectors = Vectors::new();
    std::fs::remove_file(vectors.path(&format!("{CUSTODY}/meta.yaml"))).unwrap();
    assert_fails(&vectors, CUSTODY, "meta.yaml");
}

#[test]
fn file_outside_of_all_cases_fails() {
    let vectors = Vectors::new();
    vectors.write("tests/minimal/fulu/operations/note.txt", "");
    assert_fails(&vectors, "note.txt", "belongs to no case");
}

#[test]
fn file_beside_the_layout_is_not_part_of_it() {
    let vectors = Vectors::new();
    vectors.write("README.md", "");
    assert!(vectors.run().is_success());
}

#[test]
fn unknown_runner_and_unknown_handler_fail() {
    for kind in [
        "gossip/blocks",
        "epoch_processing/builder_pending_payments",
        "ssz_static/Surprise",
        "light_client/sync",
    ] {
        let vectors = Vectors::new();
        let place = format!("tests/minimal/dvt/{kind}/pyspec_tests/case");
        vectors.write(&format!("{place}/steps.yaml"), "[]");
        let (path, reason) = vectors.failure();
        assert!(path.ends_with(&place));
        assert!(reason.contains(&format!("unknown: {kind}")), "{reason}");
    }
}

#[test]
fn unknown_key_of_meta_fails() {
    let vectors = Vectors::new();
    let place = "tests/minimal/fulu/operations/deposit/pyspec_tests/case";
    vectors.write(&format!("{place}/meta.yaml"), "{execution_setting: 1}");
    assert_fails(&vectors, place, "unknown field `execution_setting`");
}

#[test]
fn other_forks_and_presets_are_listed_and_do_not_fail() {
    let vectors = Vectors::new();
    for place in [
        "tests/minimal/deneb/operations/deposit/pyspec_tests/case",
        "tests/minimal/fulu/fork/fork/pyspec_tests/case",
        "tests/gnosis/fulu/operations/deposit/pyspec_tests/case",
        "tests/general/phase0/bls/sign/bls/case",
    ] {
        vectors.write(&format!("{place}/meta.yaml"), "");
    }
    let report = vectors.run();
    assert!(report.is_success());
    assert_eq!((report.passed(), report.not_applicable()), (2, 4));
    let text = report.to_string();
    assert!(text.contains("minimal/deneb/operations"), "{text}");
    assert!(
        text.contains("1 not applicable: this project has no such preset"),
        "{text}"
    );
}

#[test]
fn nothing_to_run_is_an_error() {
    let empty = TempDir::new().unwrap();
    let error = run(empty.path(), None).unwrap_err().to_string();
    assert!(error.contains("tests/<preset>/<fork>"), "{error}");
    assert!(run(&empty.path().join("missing"), None).is_err());
}

#[test]
fn filter_selects_by_path_and_must_match_something() {
    let vectors = Vectors::new();
    let report = run(vectors.0.path(), Some("networking")).unwrap();
    assert_eq!(report.passed(), 1);
    let error = run(vectors.0.path(), Some("no-such-case")).unwrap_err().to_string();
    assert!(error.contains("no-such-case"), "{error}");
}
