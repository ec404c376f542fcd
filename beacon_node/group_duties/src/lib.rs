//! group_duties
