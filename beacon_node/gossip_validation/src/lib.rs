//! gossip_validation
