//! data_columns
