//! What can go wrong with the server's memory.

/// A failed call to the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has it open.
    #[error(
        "the state '{path}' is in use by another Larder; stop that one, or choose another data directory with --data"
    )]
    InUse {
        /// The state's file.
        path: String,
    },
    /// It could not be read or written.
    #[error("could not {action} the state '{path}': {cause}; check the disk it lies on")]
    Failed {
        /// What was attempted: `open`, `read`, `write`.
        action: &'static str,
        /// The state's file or address.
        path: String,
        /// Why it failed.
        cause: String,
    },
    /// It is there, but it is not what Larder wrote.
    #[error(
        "the state '{path}' is damaged: {cause}; nothing was changed; put back a copy of it, or move it away to start anew (backups and the key stay as they are)"
    )]
    Damaged {
        /// The state's file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A later version of Larder wrote it.
    #[error(
        "the state '{path}' was written by a newer Larder (format {found}, this one knows {known}); start that one"
    )]
    Newer {
        /// The state's file.
        path: String,
        /// The format found.
        found: u64,
        /// The format this version writes.
        known: u64,
    },
}
