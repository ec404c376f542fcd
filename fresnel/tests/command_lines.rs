//! The binary understands every command line that ethereum-package gives to `lighthouse`.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Recorded from the package itself: see `kurtosis/tests/record.py`.
const RECORDED: &str = include_str!("../../kurtosis/tests/command_lines.txt");
/// What the parser exits with; a node that cannot start exits with 1.
const NOT_UNDERSTOOD: i32 = 2;

fn recorded() -> Vec<&'static str> {
    RECORDED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// Runs a command line under the name that it begins with. The files of the network are missing, so that nothing starts.
fn run(line: &str, dir: &Path, values_apart: bool) -> Output {
    let program = dir.join("lighthouse");
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_fresnel"), &program).unwrap();
    }
    let mut arguments = line.split(' ');
    assert_eq!(arguments.next(), Some("lighthouse"));
    let mut command = Command::new(program);
    for argument in arguments {
        let argument = mapped(argument, dir);
        match argument.split_once('=') {
            Some((flag, value)) if values_apart && flag.starts_with("--") => command.args([flag, value]),
            _ => command.arg(argument),
        };
    }
    command.env("HOME", dir).stdin(Stdio::null()).output().unwrap()
}

/// Paths of containers are in `dir`, and no port is taken from other processes.
fn mapped(argument: &str, dir: &Path) -> String {
    let mapped = argument
        .replace("=/", &format!("={}/", dir.display()))
        .replace("0.0.0.0", "127.0.0.1");
    match mapped.split_once('=') {
        Some((flag @ ("--metrics-port" | "--http-port"), _)) => format!("{flag}=0"),
        _ => mapped,
    }
}

fn assert_understood(line: &str, output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{line}\n{errors}");
    let reason = if line.contains("--network=") {
        "--network hoodi: no public network is built in"
    } else {
        "config.yaml"
    };
    assert!(errors.contains(reason), "{line}\n{errors}");
}

#[test]
fn values_after_an_equals_sign() {
    let dir = tempfile::tempdir().unwrap();
    let lines = recorded();
    assert!(lines.iter().any(|line| line.starts_with("lighthouse beacon_node ")));
    assert!(lines.iter().any(|line| line.starts_with("lighthouse vc ")));
    for line in lines {
        assert_understood(line, &run(line, dir.path(), false));
    }
}

#[test]
fn values_as_arguments_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    for line in recorded() {
        assert_understood(line, &run(line, dir.path(), true));
    }
}

/// Where the package puts a binary in place of the image's, it says the name twice.
#[test]
fn a_repeated_name_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let repeated: Vec<&str> = recorded()
        .into_iter()
        .filter(|line| line.starts_with("lighthouse lighthouse "))
        .collect();
    assert!(!repeated.is_empty());
    for line in repeated {
        assert_understood(line, &run(line, dir.path(), false));
    }
}

#[test]
fn an_unknown_flag_is_an_error_that_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    for (line, nearest) in [
        ("lighthouse beacon_node --http-prot=4000", "--http-port"),
        ("lighthouse bn --enr-udp-prot 9000", "--enr-udp-port"),
        ("lighthouse vc --validator-dir=/validator-keys/keys", "--validators-dir"),
        (
            "lighthouse lighthouse vc --beacon-node=http://cl-1:4000",
            "--beacon-nodes",
        ),
    ] {
        let output = run(line, dir.path(), false);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(NOT_UNDERSTOOD), "{line}\n{errors}");
        assert!(errors.contains(&format!("'{nearest}'")), "{line}\n{errors}");
    }
}
