//! What is around every page: the rail, the title, and the bar at the foot that shows what runs.

use crate::Studio;
use crate::face::Face;
use crate::words::Work;
use larder_model::{OperationStatus, human};
use larder_service::OperationFilter;

/// Which entry of the rail a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Here {
    Overview,
    Databases,
    Tasks,
    Operations,
    Destinations,
    Sources,
    Settings,
    Elsewhere,
}

/// One entry of the rail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) here: Here,
    pub(crate) address: &'static str,
    pub(crate) name: &'static str,
    pub(crate) icon: &'static str,
}

const fn entry(here: Here, address: &'static str, name: &'static str, icon: &'static str) -> Entry {
    Entry { here, address, name, icon }
}

/// The rail, from top to bottom.
pub(crate) const RAIL: [Entry; 7] = [
    entry(Here::Overview, "/", "Overview", "i-overview"),
    entry(Here::Databases, "/studio/databases", "Databases", "i-databases"),
    entry(Here::Tasks, "/studio/tasks", "Server-wide tasks", "i-tasks"),
    entry(Here::Operations, "/studio/operations", "Operations", "i-operations"),
    entry(Here::Destinations, "/studio/destinations", "Destinations", "i-destinations"),
    entry(Here::Sources, "/studio/sources", "Sources", "i-sources"),
    entry(Here::Settings, "/studio/settings", "Settings", "i-settings"),
];

/// How many running operations the bar at the foot shows.
const AT_THE_FOOT: usize = 3;

/// What every template is given.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) here: Here,
    pub(crate) version: &'static str,
    pub(crate) zone: String,
    pub(crate) made: String,
    pub(crate) running: Vec<Work>,
    pub(crate) more_running: usize,
}

impl Frame {
    pub(crate) fn rail(&self) -> &'static [Entry] {
        &RAIL
    }
}

impl Studio {
    /// Returns how moments are said now.
    pub(crate) fn face(&self) -> Face {
        Face { now: self.clock.now(), zone: self.zone.clone() }
    }

    /// Makes the frame of a page.
    pub(crate) fn frame(&self, here: Here, title: impl Into<String>) -> Frame {
        let face = self.face();
        // Not the overview: it would look at every database, on every page.
        let running = self.service.operations(&OperationFilter {
            status: Some(OperationStatus::InProgress),
            ..OperationFilter::default()
        });
        Frame {
            title: title.into(),
            here,
            version: env!("CARGO_PKG_VERSION"),
            zone: face.zone_name().to_owned(),
            made: human::local(face.now, &face.zone),
            more_running: running.len().saturating_sub(AT_THE_FOOT),
            running: running.iter().take(AT_THE_FOOT).map(|operation| Work::new(operation, &face)).collect(),
        }
    }
}
