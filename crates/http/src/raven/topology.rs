//! What clients ask before anything else: where a database is, who leads, which version.

use super::caller::OwnUrl;
use super::failure::Failure;
use super::failure::missing;
use super::identity;
use super::product::NODE;
use super::query::Query;
use super::shape::topology::{
    BuildInfo, BuildVersion, ClusterNodes, ClusterTopology, Metadata, NodeDetails, OsInfo, ServerNode,
    Topology,
};
use super::time::Stamp;
use crate::server::App;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::num::NonZero;

/// The version of the topology. It never changes: there is one node, and clients are told its address as they
/// themselves call it.
const ETAG: u64 = 1;

const BYTES_PER_GIB: f64 = 1_073_741_824.0;

/// Makes what some answers begin with.
pub(crate) fn metadata(app: &App, url: OwnUrl) -> Metadata {
    Metadata { date_time: Stamp(app.clock.now()), web_url: url.0, node_tag: NODE }
}

pub(crate) async fn of_database(
    State(app): State<App>,
    url: OwnUrl,
    query: Query,
) -> Result<Response, Failure> {
    let name = query.required("name")?;
    let Ok(name) = app.service.database_name(name) else {
        return Ok(missing(StatusCode::SERVICE_UNAVAILABLE, name));
    };
    let node = ServerNode::of(url.0, name.to_string());
    Ok(Json(Topology { promotables: Vec::new(), nodes: vec![node], etag: ETAG }).into_response())
}

pub(crate) async fn of_cluster(State(app): State<App>, url: OwnUrl) -> Json<ClusterTopology> {
    let led = app.clock.now().duration_since(app.started);
    let since = jiff::tz::TimeZone::UTC.to_datetime(app.started).strftime("%m/%d/%Y %H:%M:%S").to_string();
    let only = BTreeMap::from([(NODE, url.0.clone())]);
    Json(ClusterTopology {
        topology: ClusterNodes {
            topology_id: identity::cluster(&app.installation),
            all_nodes: only.clone(),
            members: only,
            promotables: BTreeMap::new(),
            watchers: BTreeMap::new(),
            last_node_id: NODE,
            etag: ETAG,
        },
        metadata: metadata(&app, url),
        etag: ETAG,
        leader: NODE,
        leadership_duration: i64::try_from(led.as_millis()).unwrap_or(i64::MAX),
        current_state: "Leader",
        node_tag: NODE,
        server_role: "Member",
        current_term: 1,
        node_license_details: BTreeMap::from([(NODE, details())]),
        last_state_change_reason: format!("the only node leads, since it started at {since}"),
        status: BTreeMap::new(),
    })
}

fn details() -> NodeDetails {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let system = rustix::system::sysinfo();
    // Both factors fit a float's 53 bits on any machine that exists.
    let memory = system.totalram as f64 * f64::from(system.mem_unit) / BYTES_PER_GIB;
    let uname = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    NodeDetails {
        utilized_cores: cores,
        max_utilized_cores: None,
        number_of_cores: cores,
        installed_memory_in_gb: memory,
        usable_memory_in_gb: memory,
        build_info: BuildInfo::own(),
        os_info: OsInfo {
            kind: "Linux",
            full_name: format!(
                "{} {} {}",
                text(uname.sysname()),
                text(uname.release()),
                text(uname.version())
            ),
            version: None,
            build_version: text(uname.release()),
            is_64_bit: cfg!(target_pointer_width = "64"),
        },
    }
}

pub(crate) async fn version(State(app): State<App>) -> impl IntoResponse {
    ([("Server-Startup-Time", Stamp(app.started).to_string())], Json(BuildVersion::own()))
}
