//! signature_scheme
