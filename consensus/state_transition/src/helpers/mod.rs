//! The specification's helper functions, one file per section of it.

pub mod accessors;
pub mod math;
pub mod misc;
pub mod mutators;
pub mod predicates;
