//! What becomes of a signal.

use bitflags::bitflags;

use crate::interruption::SignalMask;

/// What a program wants of a signal: `struct sigaction`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Action {
    /// What happens.
    pub disposition: Disposition,
    /// Blocked while the handler runs, beside the signal itself.
    pub mask: SignalMask,
    /// How.
    pub flags: ActionFlags,
}

/// What happens when a signal comes.
#[derive(Clone, Copy, Debug, Default)]
pub enum Disposition {
    /// What [`Default`](process_protocol::Default) says.
    #[default]
    Default,
    /// Nothing.
    Ignore,
    /// This runs, with the signal's number.
    Handler(fn(i32)),
    /// The same of a C program.
    Foreign(extern "C" fn(i32)),
}

impl PartialEq for Disposition {
    fn eq(&self, other: &Disposition) -> bool {
        match (self, other) {
            (Disposition::Default, Disposition::Default) | (Disposition::Ignore, Disposition::Ignore) => true,
            (Disposition::Handler(one), Disposition::Handler(another)) => {
                core::ptr::fn_addr_eq(*one, *another)
            }
            (Disposition::Foreign(one), Disposition::Foreign(another)) => {
                core::ptr::fn_addr_eq(*one, *another)
            }
            _ => false,
        }
    }
}

bitflags! {
    /// `SA_*`, with Linux's numbers.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct ActionFlags: u32 {
        /// Accepted for what is written for other systems: what is interrupted here is never restarted (R49).
        const RESTART = 0x1000_0000;
        /// The signal is not blocked while its handler runs (`SA_NODEFER`).
        const NODEFER = 0x4000_0000;
        /// The action is the default one again before the handler runs (`SA_RESETHAND`).
        const RESETHAND = 0x8000_0000;
    }
}

impl Action {
    /// The default action.
    pub fn by_default() -> Action {
        Action::default()
    }

    /// Nothing happens.
    pub fn ignore() -> Action {
        Action { disposition: Disposition::Ignore, ..Action::default() }
    }

    /// This runs.
    pub fn handler(handler: fn(i32)) -> Action {
        Action { disposition: Disposition::Handler(handler), ..Action::default() }
    }

    /// The same with these signals blocked while it runs.
    pub fn blocking(self, mask: SignalMask) -> Action {
        Action { mask, ..self }
    }

    /// The same with these flags.
    pub fn with(self, flags: ActionFlags) -> Action {
        Action { flags: self.flags.union(flags), ..self }
    }

    /// Whether a handler runs.
    pub(super) fn is_handler(&self) -> bool {
        matches!(self.disposition, Disposition::Handler(_) | Disposition::Foreign(_))
    }
}
