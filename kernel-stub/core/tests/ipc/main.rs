//! Messages, notifications, handles: each rule by name.

mod calls;
mod endings;
mod notifications;
mod transfers;
mod watches;
mod world;
