//! operation_pool
