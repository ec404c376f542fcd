//! state_transition
