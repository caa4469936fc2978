//! The outside of the server: `/api/v1` with its OpenAPI document, the stream of events, the studio, and the
//! routes that RavenDB's clients ask.
//!
//! One table of routes makes both the router and the document, so that neither can know a route the other does not.

mod answer;
mod api;
mod door;
mod download;
mod error;
mod events;
mod listen;
mod openapi;
mod raven;
mod route;
mod server;

pub use answer::{
    Accepted, Backups, BackupsBody, CheckBody, Declined, DelayBody, ErrorBody, HealBody, HealthAnswer,
    KeyAccess, LackingRight, ProposedSource, PruneBody, RepairBody, RestoreBody, RetentionBody, SourceAdded,
    VerifyBody, VersionAnswer,
};
pub use error::HttpError;
pub use larder_studio::{Headline, headline};
pub use openapi::document;
pub use server::{HttpSettings, Server};
