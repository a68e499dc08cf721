//! What announcing does to the machine and on the wire beside BGP: the services' addresses on `lo`, and BFD with a real
//! BIRD. Needs root (for network namespaces), iproute2, BIRD 2, and the `parapet` binary (`cargo build -p parapet`, or
//! PARAPET_BIN).

mod addresses;
mod bfd;
mod scene;
