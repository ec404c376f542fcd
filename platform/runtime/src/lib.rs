//! What every long-running part needs: a clock, a way to stop, channels, threads for heavy work, logs and metrics.

mod channels;
mod clock;
mod logging;
mod metrics;
mod origin;
mod shutdown;
mod workers;

pub use channels::{Receiver, SendError, Sender, channel};
pub use clock::SlotClock;
pub use logging::{LogLevel, init_logging};
pub use metrics::{MetricsError, gather, register_gauge, register_process_metrics};
pub use origin::{AllowOrigin, AllowOriginError};
pub use shutdown::{Shutdown, ShutdownHandle, listen_for_signals};
pub use workers::{PoolError, Priority, WorkerPool};
