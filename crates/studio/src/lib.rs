//! The studio: the pages that an operator opens, in calm to see that all is well, in distress to get data back.
//!
//! Every page is whole HTML made by the server, readable without JavaScript. What can be done is done by a few lines of
//! script that call the same interface as the command line.

mod answer;
mod face;
mod form;
mod frame;
mod headline;
mod pages;
mod plot;
mod sentences;
mod state;
mod words;

pub use headline::{Headline, headline};
pub use pages::routes;

use jiff::tz::TimeZone;
use larder_model::Clock;
use larder_service::Service;
use std::path::PathBuf;
use std::sync::Arc;

/// What every page may use.
#[derive(Clone, Debug)]
pub struct Studio {
    /// Knows everything that pages show.
    pub service: Service,
    /// Says what time it is.
    pub clock: Arc<dyn Clock>,
    /// The zone that pages show times in.
    pub zone: TimeZone,
    /// Where the key of the repositories lies.
    pub key_file: Arc<PathBuf>,
}
