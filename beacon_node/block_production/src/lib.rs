//! block_production
