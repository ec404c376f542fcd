//! All official vectors pass. They are looked for in `$CONSENSUS_SPEC_TESTS`, then beside the workspace.

use std::path::PathBuf;

fn vectors() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/consensus-spec-tests");
    std::env::var_os("CONSENSUS_SPEC_TESTS").map(PathBuf::from).or_else(|| beside.exists().then_some(beside))
}

#[test]
fn all_official_vectors_pass() {
    let Some(directory) = vectors() else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "the official test vectors are missing");
        eprintln!("!!! OFFICIAL TEST VECTORS NOT FOUND, NOT RUN: `make official-vectors` fetches them !!!");
        return;
    };
    let report = spec_vectors::run(&directory, None).unwrap();
    println!("{report}");
    assert!(report.is_success(), "{report}");
    assert!(report.passed() > 0, "no vector was run");
}
