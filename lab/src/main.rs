//! `parapet-lab`: topologies in network namespaces, demonstrations and benchmarks.

fn main() {}
