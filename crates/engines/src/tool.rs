//! The vendors' own programs: found by version, run apart, and never believed before they ended well.
//!
//! A program runs in a process group of its own, with an environment of its own, and ends with the value that holds it. What it
//! prints is read as a stream that ends in an error unless the program ended well; see [`CheckedStream`].

mod checked;
mod complaint;
mod failure;
mod find;
mod run;
mod running;
#[cfg(test)]
mod tests;
mod version;

pub(crate) use checked::{CheckedStream, Completeness};
pub(crate) use complaint::told;
pub(crate) use failure::{ToolFailure, ToolTrouble};
pub(crate) use find::{Tool, Tools, Wanted};
pub(crate) use run::{RunAs, ToolRun};
pub(crate) use running::Running;
pub(crate) use version::Version;
