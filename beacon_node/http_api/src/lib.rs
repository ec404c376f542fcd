//! The Beacon API as a server.
//!
//! A handler reads the head snapshot and the fork choice directly; everything that needs another state runs on the
//! chain's workers, few at a time. What a client sends goes to the same places as what the network sends: `intake`
//! for messages, `group_duties` for blocks. What its bodies may take is limited before they are decoded (`bodies`).
//!
//! Families of endpoints are in a module each. They answer JSON, and SSZ where the API has it and the reader prefers
//! it. Every error has the body that the API describes.

mod blobs;
mod blocks;
mod bodies;
mod committees;
mod config;
mod context;
mod debug;
mod error;
mod events;
mod indices;
mod locate;
mod metrics;
mod node;
mod pool;
mod request;
mod respond;
mod rewards;
mod server;
mod states;
mod validator;
mod validators;

pub use bodies::BodyLimits;
pub use context::{ApiContext, ApiSettings};
pub(crate) use error::ApiFailure;
pub use server::serve;
