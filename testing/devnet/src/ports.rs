//! Free ports on loopback.

use crate::error::DevnetError;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::RangeInclusive;

/// Below what the system gives to outgoing connections, so that nothing takes a port between the search and its use.
const RANGE: RangeInclusive<u16> = 12_000..=31_000;

/// Ports of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ports {
    /// TCP for libp2p, UDP for discovery.
    pub(crate) p2p: u16,
    /// UDP.
    pub(crate) quic: u16,
    /// Beacon API.
    pub(crate) http: u16,
    /// Metrics of its beacon node.
    pub(crate) metrics: u16,
    /// Engine API of its execution client.
    pub(crate) engine: u16,
    /// Other calls of its execution client.
    pub(crate) execution_rpc: u16,
    /// Of its execution client for its like.
    pub(crate) execution_p2p: u16,
}

/// Ports for so many nodes, in a row from a place in the range that is different each time.
pub(crate) fn free_ports(nodes: usize) -> Result<Vec<Ports>, DevnetError> {
    let start: u16 = rand::random_range(RANGE);
    let mut candidates = (start..=*RANGE.end())
        .chain(*RANGE.start()..start)
        .filter(|port| is_free(*port));
    let mut next = || {
        candidates.next().ok_or(DevnetError::NoPorts {
            from: *RANGE.start(),
            to: *RANGE.end(),
        })
    };
    (0..nodes)
        .map(|_| {
            Ok(Ports {
                p2p: next()?,
                quic: next()?,
                http: next()?,
                metrics: next()?,
                engine: next()?,
                execution_rpc: next()?,
                execution_p2p: next()?,
            })
        })
        .collect()
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_twice_or_taken() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
        let ports = free_ports(9).unwrap();
        let all: HashSet<u16> = ports
            .iter()
            .flat_map(|ports| {
                let execution = [ports.engine, ports.execution_rpc, ports.execution_p2p];
                [ports.p2p, ports.quic, ports.http, ports.metrics]
                    .into_iter()
                    .chain(execution)
            })
            .collect();
        assert_eq!(all.len(), 7 * 9);
    }
}
