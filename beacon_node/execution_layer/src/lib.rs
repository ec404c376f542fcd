//! execution_layer
