//! Logs.

use std::io::IsTerminal as _;
use std::str::FromStr;
use tracing_subscriber::EnvFilter;

/// Lighthouse's `--debug-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And what an operator needs.
    #[default]
    Info,
    /// And what a developer needs.
    Debug,
    /// And everything else.
    Trace,
}

impl FromStr for LogLevel {
    type Err = String;
    fn from_str(level: &str) -> Result<Self, String> {
        Ok(match level {
            "error" | "crit" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            other => {
                return Err(format!(
                    "unknown level {other:?}, expected error, warn, info, debug or trace"
                ));
            }
        })
    }
}

impl LogLevel {
    /// The level's directive, with libraries one step quieter than our own crates.
    fn directive(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            // Gossipsub warns of each message that somebody else has published or that is judged late: both are no news.
            Self::Info => "info,libp2p=warn,libp2p_gossipsub=error,discv5=warn,hyper=warn,reqwest=warn",
            Self::Debug => {
                "debug,libp2p=info,discv5=info,hyper=info,reqwest=info,h2=info,quinn=info,yamux=info,multistream_select=info"
            }
            Self::Trace => "trace",
        }
    }
}

/// Sends logs to standard error. `RUST_LOG` overrides the level. To be called once.
pub fn init_logging(level: LogLevel) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level.directive()));
    // A second call, in a test, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .try_init();
}
