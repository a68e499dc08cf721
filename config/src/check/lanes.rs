//! How datagrams are received and sent: what must fit together.

use super::Checker;
use crate::model::{KernelAttach, KernelCrash, KernelMode, Lanes};
use crate::reader::{Section, join};

impl Checker<'_, '_> {
    pub(super) fn lanes(&mut self, section: &Section) -> Lanes {
        let mut interfaces: Vec<String> = Vec::new();
        for (index, (name, at)) in section.texts("interfaces").enumerate() {
            let path = format!("{}[{index}]", join(&section.path, "interfaces"));
            if interfaces.iter().any(|other| other == name) {
                self.sink.error(at, &path, format_args!("\"{name}\" again"), "each interface once");
            } else if name.contains(|c: char| c == '/' || c.is_whitespace()) || matches!(name, "." | "..") {
                self.sink.error(at, &path, format_args!("\"{name}\""), "the name of an interface, such as \"eth0\"");
            }
            interfaces.push(name.to_owned());
        }
        let kernel = KernelMode::ALL.into_iter().find(|mode| Some(mode.as_str()) == section.text("kernel"));
        let attach = KernelAttach::ALL.into_iter().find(|way| Some(way.as_str()) == section.text("kernel_attach"));
        Lanes {
            kernel: kernel.unwrap_or_default(),
            interfaces,
            kernel_answers: section.number("kernel_answers"),
            kernel_attach: attach.unwrap_or_default(),
            kernel_crash: match section.text("kernel_crash") {
                Some("keep") => KernelCrash::Keep,
                _ => KernelCrash::Detach,
            },
        }
    }
}
