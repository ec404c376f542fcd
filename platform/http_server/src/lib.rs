//! Servers of HTTP/1 whose callers cannot exhaust them.
//!
//! ```text
//! socket --> accept --> connection --> routes
//!            as many    closed if no request comes,
//!            as may be  or if an answer is not read
//! ```
//!
//! What a request may ask is the routes' affair. [`read_body`] reads its body, within a size and a time.

mod accept;
mod body;
mod patience;
mod server;

pub use accept::{ListenError, Listener};
pub use body::{BodyError, read_body};
pub use server::{Limits, serve};
