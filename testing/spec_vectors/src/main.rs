//! Runs all test vectors below a directory.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs official-format test vectors and exits non-zero if one fails, is unknown, or has a file that was not read.
#[derive(Parser)]
#[command(after_help = "`spec_vectors xmss FILE...` runs files of XMSS vectors, one JSON object per line.")]
struct Args {
    /// Any directory in the official layout: `tests`, a parent of it, or any directory below it.
    directory: PathBuf,
    /// Only cases whose path contains this text.
    #[arg(long)]
    filter: Option<String>,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "xmss") {
        return spec_vectors::run_xmss(arguments.map(PathBuf::from));
    }
    let args = Args::parse();
    match spec_vectors::run(&args.directory, args.filter.as_deref()) {
        Ok(report) => {
            print!("{report}");
            if report.is_success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{}: {error}", args.directory.display());
            ExitCode::FAILURE
        }
    }
}
