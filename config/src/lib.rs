//! The network file: its schema, its checks and its diagnostics.
