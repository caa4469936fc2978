//! What people see on the terminal.

pub(crate) mod operation;
pub(crate) mod progress;
pub(crate) mod screen;
pub(crate) mod table;
pub(crate) mod task;
