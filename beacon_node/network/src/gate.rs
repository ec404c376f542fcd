//! Who may connect at all: not the banned, and not those that a fault test has cut off.

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashSet;
use std::convert::Infallible;
use std::task::{Context, Poll};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Cut off by a fault test.
    pub(crate) blocked: HashSet<PeerId>,
    /// Banned by score.
    pub(crate) banned: HashSet<PeerId>,
}

/// Why a connection was refused.
#[derive(Debug, thiserror::Error)]
#[error("peer {0} is banned or cut off")]
pub(crate) struct Refused(PeerId);

impl Gate {
    pub(crate) fn refuses(&self, peer: &PeerId) -> bool {
        self.blocked.contains(peer) || self.banned.contains(peer)
    }

    fn check(&self, peer: PeerId) -> Result<(), ConnectionDenied> {
        if self.refuses(&peer) {
            Err(ConnectionDenied::new(Refused(peer)))
        } else {
            Ok(())
        }
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        peer.map_or(Ok(()), |peer| self.check(peer))?;
        Ok(Vec::new())
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(peer)?;
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(peer)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_and_banned_peers_are_refused() {
        let (blocked, banned, other) = (PeerId::random(), PeerId::random(), PeerId::random());
        let gate = Gate {
            blocked: HashSet::from([blocked]),
            banned: HashSet::from([banned]),
        };
        assert!(gate.check(blocked).is_err() && gate.check(banned).is_err());
        assert!(gate.check(other).is_ok());
    }
}
