//! Keeps snapshots equal to the hidden origin: NOTIFY, SOA polls, IXFR, AXFR, TSIG, and the disk.
