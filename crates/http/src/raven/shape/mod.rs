//! The shapes of RavenDB's answers: keys, order and kinds as its server writes them.

pub(crate) mod change;
pub(crate) mod database;
pub(crate) mod helper;
pub(crate) mod notification;
pub(crate) mod operation;
pub(crate) mod restore;
pub(crate) mod smuggler;
pub(crate) mod status;
pub(crate) mod task;
pub(crate) mod topology;
pub(crate) mod upload;
