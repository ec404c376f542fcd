//! Several services in one process on loopback, among each other and against peers without scruples.

mod hostile;
mod loopback;
mod support;
