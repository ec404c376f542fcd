//! fork_choice
