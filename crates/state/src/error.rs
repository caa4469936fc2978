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
}
