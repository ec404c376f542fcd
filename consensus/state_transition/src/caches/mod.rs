//! Reading through the cells of a state: each function gives the value, computed now or before.

pub mod committees;
pub mod pubkeys;
pub mod registry;
pub mod totals;

#[cfg(test)]
mod tests;
