//! Fault injection: data columns that do not come in or do not go out.

use crate::gossip::TopicKind;
use crate::rpc::{Columns, Request};
use std::collections::BTreeSet;
use types::ColumnIndex;

/// Columns that a fault stops at the border between this node and the network, whatever the way that they take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnFaults {
    /// Not taken from gossip, which is nobody's fault, and not asked for.
    pub blocked: BTreeSet<ColumnIndex>,
    /// Neither published nor forwarded nor served.
    pub withheld: BTreeSet<ColumnIndex>,
}

impl ColumnFaults {
    /// Whether what comes on a topic is not taken.
    pub(crate) fn blocks(&self, kind: TopicKind) -> bool {
        column_of(kind).is_some_and(|column| self.blocked.contains(&column))
    }

    /// Whether nothing goes out on a topic.
    pub(crate) fn withholds(&self, kind: TopicKind) -> bool {
        column_of(kind).is_some_and(|column| self.withheld.contains(&column))
    }

    /// What may be asked of a peer. `None`: nothing is left to ask for.
    pub(crate) fn to_be_asked(&self, request: Request) -> Option<Request> {
        if self.blocked.is_empty() {
            return Some(request);
        }
        let mut request = without(request, &self.blocked);
        let is_left = match &mut request {
            Request::DataColumnsByRange(asked) => !asked.columns.is_empty(),
            Request::DataColumnsByRoot(asked) => {
                asked.identifiers.retain(|wanted| !wanted.columns.is_empty());
                !asked.identifiers.is_empty()
            }
            _ => true,
        };
        is_left.then_some(request)
    }

    /// A peer's request as far as it is answered.
    pub(crate) fn to_be_answered(&self, request: Request) -> Request {
        without(request, &self.withheld)
    }
}

/// Each column has a subnet of its own, with the same number.
fn column_of(kind: TopicKind) -> Option<ColumnIndex> {
    match kind {
        TopicKind::DataColumnSidecar(subnet) => Some(subnet),
        _ => None,
    }
}

fn without(mut request: Request, stopped: &BTreeSet<ColumnIndex>) -> Request {
    if stopped.is_empty() {
        return request;
    }
    let remove = |columns: &mut Columns| {
        let left: Vec<ColumnIndex> = columns
            .iter()
            .copied()
            .filter(|column| !stopped.contains(column))
            .collect();
        // Fewer than before fit.
        *columns = left.try_into().unwrap_or_default();
    };
    match &mut request {
        Request::DataColumnsByRange(asked) => remove(&mut asked.columns),
        Request::DataColumnsByRoot(asked) => {
            for wanted in &mut asked.identifiers {
                remove(&mut wanted.columns);
            }
        }
        _ => {}
    }
    request
}
