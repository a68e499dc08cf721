//! Prints the commented default file: `cargo run -p config --example default-file > config/default.toml`.

#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", config::default_file());
}
