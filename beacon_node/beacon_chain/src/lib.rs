//! beacon_chain
