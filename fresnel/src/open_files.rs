//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// With fewer, peers, callers of the APIs and the database may get in each other's way.
const ENOUGH: u64 = 4096;

/// Raises the limit as far as the process may. Says so if that is not far.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "The limit of open files cannot be raised");
            limit.current
        }
    };
    if let Some(limit) = current.filter(|limit| *limit < ENOUGH) {
        tracing::warn!(
            limit,
            "Few files and connections may be open at once: allow at least {ENOUGH} (ulimit -n, LimitNOFILE)"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_allows_is_used() {
        let before = getrlimit(Resource::Nofile);
        let low = Rlimit {
            current: before.maximum.map_or(Some(256), |maximum| Some(maximum.min(256))),
            ..before
        };
        setrlimit(Resource::Nofile, low).unwrap();
        raise_limit();
        let after = getrlimit(Resource::Nofile);
        assert_eq!((after.current, after.maximum), (before.maximum, before.maximum));
    }
}
