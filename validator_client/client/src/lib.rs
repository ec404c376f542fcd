//! A validator client: settings, keys, start, shutdown. It knows beacon nodes only through the Beacon API.
//!
//! ```text
//! flags --> keys unlocked, slashing database opened --> a node answers: genesis, configuration --> duties
//! ```

mod args;
mod chain_info;
mod error;
mod keymanager_server;
mod keys;
mod manager;
mod metrics_server;
mod start;

pub use args::ValidatorClientArgs;
pub use error::ClientError;
pub use manager::{ManagerArgs, manage};
pub use start::{Common, run};
