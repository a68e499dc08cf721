//! End-to-end, interop and conformance tests, over the lab and the built binary.
