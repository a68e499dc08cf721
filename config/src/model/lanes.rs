//! How datagrams are received and sent.

/// How datagrams are received and sent: by sockets always, and by the kernel lane before them where it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Whether hot answers are given by a program in the kernel.
    pub kernel: KernelMode,
    /// The interfaces whose packets it looks at; empty: those that the addresses lead to.
    pub interfaces: Vec<String>,
    /// How many answers it has room for, at least.
    pub kernel_answers: usize,
    /// How it is brought to an interface.
    pub kernel_attach: KernelAttach,
    /// What becomes of it when the daemon dies.
    pub kernel_crash: KernelCrash,
}

impl Default for Lanes {
    fn default() -> Self {
        Self {
            kernel: KernelMode::default(),
            interfaces: Vec::new(),
            kernel_answers: 65_536,
            kernel_attach: KernelAttach::default(),
            kernel_crash: KernelCrash::default(),
        }
    }
}

/// Whether there is a kernel lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelMode {
    /// On every interface that takes it; where none does, the sockets answer.
    #[default]
    Auto,
    /// The sockets answer.
    Off,
    /// On every interface, or the node does not start.
    Required,
}

impl KernelMode {
    /// All of them.
    pub const ALL: [KernelMode; 3] = [KernelMode::Auto, KernelMode::Off, KernelMode::Required];

    /// As the file has it.
    pub fn as_str(self) -> &'static str {
        match self {
            KernelMode::Auto => "auto",
            KernelMode::Off => "off",
            KernelMode::Required => "required",
        }
    }
}

/// How the kernel lane is brought to an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelAttach {
    /// Natively where the driver can, but in generic mode over a virtual wire, and wherever else it must.
    #[default]
    Auto,
    /// Natively, or not at all.
    Native,
    /// In generic mode.
    Generic,
}

impl KernelAttach {
    /// All of them.
    pub const ALL: [KernelAttach; 3] = [KernelAttach::Auto, KernelAttach::Native, KernelAttach::Generic];

    /// As the file has it.
    pub fn as_str(self) -> &'static str {
        match self {
            KernelAttach::Auto => "auto",
            KernelAttach::Native => "native",
            KernelAttach::Generic => "generic",
        }
    }
}

/// What becomes of the kernel lane when the daemon dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelCrash {
    /// It goes with the daemon.
    #[default]
    Detach,
    /// It stays, answers for some seconds, and the next daemon takes it over.
    Keep,
}
