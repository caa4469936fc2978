//! The server's log of changes (the binary log): fetched, checked link by link, and cut to what concerns one database.

mod event;
mod fetch;
mod scan;
mod statement;

pub(super) use fetch::{Fetched, READER, Refusal, check_same, fetch};
pub(super) use scan::{Group, Subject, scan};
