//! A group's block: which leader's proposal a member signs, when a fallback leader proposes, and when the block is
//! complete.
//!
//! [`GroupSlot`] is a value: messages and verdicts go in, answers come out. It knows no clock, network or chain. One
//! lives for each slot in which a group proposes, in every node; what a node that runs no member uses of it is the
//! collection of signatures.
//!
//! ```text
//! proposal of rank r --on_proposal--> judged by the chain --on_judged--> block_to_sign --> the client signs
//! header of a member --on_header----> collected by root ----------------> complete (m signatures)
//! ```
//!
//! Spec: dvt/validator.md#leader-promotion

mod group_slot;

pub use group_slot::{GroupSlot, Judgement, Part};
