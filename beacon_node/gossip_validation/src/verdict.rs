//! What a node does with a message.

/// The three answers of the specification to a gossiped message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Used and passed on.
    Accept,
    /// Dropped; nobody is to blame.
    Ignore,
    /// Dropped; whoever sent it is to blame.
    Reject,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Accept => "accept",
            Self::Ignore => "ignore",
            Self::Reject => "reject",
        })
    }
}
