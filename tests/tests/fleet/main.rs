//! Three edges that know of each other, and a zone that goes bad on all that have its latest copy: never do too many of
//! them leave. Needs root (for network namespaces), BIND, BIRD, and the `parapet` binary.

mod poisonous_zone;
mod scene;
