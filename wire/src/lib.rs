//! DNS messages, names and EDNS: bounded and panic-free on any bytes.
