//! A group's block: which leader's proposal a member signs, when a fallback leader proposes, and when the block is
//! complete. A solo validator's block leaves by the same door.
//!
//! [`GroupSlot`] is a value: messages and verdicts go in, answers come out. It knows no clock, network or chain. One
//! lives for each slot in which a group proposes, in every node; what a node that runs no member uses of it is the
//! collection of signatures. [`Proposals`] drives them:
//!
//! ```text
//! client asks (produce) --> leader: block built ------> client signs (publish) --> group_block_proposal + header
//!                       \-> member: held until a proposal is judged --> blinded block --> client signs --> header
//! proposal of rank r --on_proposal--> judged by the chain --on_judged--> block_to_sign
//! header of a member --on_header----> collected by root --> complete (m signatures) --> import, publish staggered
//! ```
//!
//! Spec: dvt/validator.md#leader-promotion

mod abandoned;
mod error;
mod group_slot;
mod judging;
mod metrics;
mod produce;
mod proposals;
mod publish;
mod round;

pub use error::{ProduceError, PublishBlockError};
pub use group_slot::{GroupSlot, Judgement, Part};
pub use proposals::Proposals;
