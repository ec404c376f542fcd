//! mock_execution
