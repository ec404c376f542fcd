//! slashing_protection
