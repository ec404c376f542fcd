//! What the machine gave: on one that is shared, its host gives a part of the processors' time to others.

/// Time of all processors since the machine started, in ticks of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessorTime {
    all: u64,
    stolen: u64,
}

impl ProcessorTime {
    /// Until now. `None` where the kernel does not tell.
    pub(crate) fn read() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// Source: proc_stat(5). The times of guests are part of those of users.
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Result<Vec<u64>, _> = line.split_whitespace().take(8).map(str::parse).collect();
        let ticks = ticks.ok()?;
        Some(Self {
            all: ticks.iter().fold(0, |sum: u64, ticks| sum.saturating_add(*ticks)),
            stolen: *ticks.get(7)?,
        })
    }

    /// Percent of the time since an earlier reading that others had.
    pub(crate) fn stolen_percent_since(self, earlier: Self) -> u64 {
        let stolen = self.stolen.saturating_sub(earlier.stolen).saturating_mul(100);
        let all = self.all.saturating_sub(earlier.all);
        stolen.checked_div(all).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_others_had_is_a_part_of_all() {
        let at = |user: u64, stolen: u64| {
            let text = format!("cpu  {user} 10 300 4000 50 6 7 {stolen} 70 0\ncpu0 1 2 3\n");
            ProcessorTime::parse(&text).unwrap()
        };
        assert_eq!(at(1000, 100).stolen_percent_since(at(1000, 100)), 0);
        assert_eq!(at(1300, 200).stolen_percent_since(at(1000, 100)), 25);
        // A reading of another machine is of no use.
        assert_eq!(at(1000, 100).stolen_percent_since(at(1300, 200)), 0);
        assert_eq!(ProcessorTime::parse("cpu  1 2 3"), None);
        assert_eq!(ProcessorTime::parse(""), None);
    }
}
