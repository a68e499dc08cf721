//! Compiles the kernel lane's program, where the feature `kernel` asks for it, and makes constants of what the program and
//! the daemon have to agree on.

use std::{env, fmt::Write as _, fs, path::Path, process::Command};

const SOURCE: &str = "kernel/parapet.bpf.c";
const LAYOUT: &str = "kernel/layout.h";

fn main() {
    println!("cargo::rerun-if-changed=kernel");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    let layout = Path::new(&out).join("layout.rs");
    // A new file, never the old one written over: a target folder that was copied by hard links shares it with others.
    let _ = fs::remove_file(&layout);
    fs::write(&layout, constants()).expect("OUT_DIR can be written to");
    if env::var_os("CARGO_FEATURE_KERNEL").is_some() {
        compile(&Path::new(&out).join("parapet.bpf.o"));
    }
}

/// Every `#define NAME NUMBER` of the layout, as a constant.
fn constants() -> String {
    let layout = fs::read_to_string(LAYOUT).expect("the layout is part of the source");
    let mut constants = String::new();
    for line in layout.lines() {
        let mut words = line.split_whitespace();
        if let (Some("#define"), Some(name), Some(number)) = (words.next(), words.next(), words.next()) {
            let number: usize = number.parse().unwrap_or_else(|why| panic!("{LAYOUT}: {name} is {number:?}: {why}"));
            writeln!(constants, "pub const {name}: usize = {number};").expect("a String takes everything");
        }
    }
    constants
}

fn compile(object: &Path) {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let mut clang = Command::new(env::var_os("CLANG").unwrap_or_else(|| "clang".into()));
    clang.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]);
    // Where Debian has the kernel's headers that depend on the architecture.
    clang.arg(format!("-I/usr/include/{architecture}-linux-gnu"));
    // Which reads may be exchanged.
    clang.arg(format!("-DARCHITECTURE_{architecture}"));
    clang.arg("-c").arg(SOURCE).arg("-o").arg(object);
    let hint = "install clang, libbpf-dev and linux-libc-dev (scripts/setup does), \
                or leave the kernel lane out: --no-default-features";
    match clang.status() {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("clang could not compile edge/{SOURCE} ({status}): if headers are missing, {hint}"),
        Err(why) => panic!("there is no clang to compile edge/{SOURCE} ({why}): {hint}"),
    }
}
