//! The vectors that the specification in `specs/` wrote: another implementation, of the same text, in another language.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use flate2::read::GzDecoder;
use spec_vectors::run;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../specs/vectors")
}

fn unpacked() -> TempDir {
    let directory = TempDir::new().unwrap();
    let archive = File::open(vectors().join("native-dvt.tar.gz")).unwrap();
    tar::Archive::new(GzDecoder::new(archive))
        .unpack(directory.path())
        .unwrap();
    directory
}

/// Paths of the files that the manifest lists.
fn listed() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(vectors().join("manifest.sha256")).unwrap();
    manifest
        .lines()
        .map(|line| line.split_once("  ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn every_case_of_the_specification_passes() {
    let directory = unpacked();
    let report = run(directory.path(), None).unwrap();
    println!("{report}");
    let files = listed();
    let cases: BTreeSet<&str> = files.iter().map(|path| path.rsplit_once('/').unwrap().0).collect();
    assert!(report.is_success(), "{report}");
    assert_eq!(report.not_applicable(), 0, "{report}");
    assert_eq!(report.passed(), cases.len());
    assert!(cases.len() > 200);
}

#[test]
fn the_packed_copy_holds_what_the_manifest_lists() {
    let archive = File::open(vectors().join("native-dvt.tar.gz")).unwrap();
    let mut packed = BTreeSet::new();
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if path == "manifest.sha256" {
            let mut text = String::new();
            std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            assert_eq!(
                text,
                std::fs::read_to_string(vectors().join("manifest.sha256")).unwrap()
            );
        } else {
            packed.insert(path);
        }
    }
    assert_eq!(packed, listed());
}
