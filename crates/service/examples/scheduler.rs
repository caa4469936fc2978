//! Figures of the scheduler, for `bench/scheduler`.
//!
//! `scheduler figures` measures in this process and prints `name value` lines; `scheduler prepare DIRECTORY COUNT` writes a
//! state that knows so many databases, for a server to be started on.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark, run by hand")]

use jiff::{SignedDuration, Timestamp};
use larder_model::{Clock, Database, EngineKind, Secret};
use larder_service::{Service, Settings};
use larder_state::{RedbState, State, Transaction, Write};
use larder_testbed::{ManualClock, TempDir};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MANY: usize = 100_000;
const FEW: usize = 1_000;
const DUE: usize = 100;

/// Databases of sources that are not there: nothing searches for them, and nothing can be read of them.
async fn prepare(path: &Path, count: usize, discovered: Timestamp) {
    let state = RedbState::open(path).expect("a state");
    let writes = (0..count).map(|number| {
        let name = format!("database-{number:06}");
        let database = Database {
            locator: format!("/nowhere/{name}"),
            name: name.parse().expect("a name"),
            source: "nowhere".parse().expect("a name"),
            engine: EngineKind::Sqlite,
            discovered,
            missing_since: None,
        };
        Write::Put(format!("database/{name}"), serde_json::to_vec(&database).expect("JSON"))
    });
    let transaction = Transaction { conditions: Vec::new(), writes: writes.collect() };
    state.commit(transaction).await.expect("the state is written");
}

fn task(name: &str, excluded: &[String], folder: &Path) -> Map<String, Value> {
    let task = json!({
        "Name": name,
        "FullBackupFrequency": "0 2 * * 0",
        "IncrementalBackupFrequency": "0 2 * * *",
        "LocalSettings": { "FolderPath": folder },
        "ExcludedDatabases": excluded,
    });
    task.as_object().expect("an object").clone()
}

/// Returns the resident set of this process in MiB.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number") / 1024.0
}

struct Run {
    directory: TempDir,
    service: Service,
    clock: Arc<ManualClock>,
    loaded_mib: f64,
    derive_seconds: f64,
    derived_mib: f64,
}

async fn run(count: usize) -> Run {
    let directory = TempDir::new();
    let begin: Timestamp = "2026-05-13T10:05:00Z".parse().expect("a moment");
    let state = directory.join("state.redb");
    prepare(&state, count, begin).await;
    let clock = Arc::new(ManualClock::at(begin));
    let settings =
        Settings { discovery_interval: Duration::from_secs(3600), ..Settings::new(&directory.join("data")) };
    let shared: Arc<dyn Clock> = clock.clone();
    let state = Arc::new(RedbState::open(&state).expect("a state"));
    let service =
        Service::start(settings, state, shared, Secret::new("bench".to_owned())).await.expect("a service");
    let loaded_mib = resident_mib();
    let begun = Instant::now();
    service.put_task(&task("Nightly", &[], &directory.join("backups"))).await.expect("the task is stored");
    // As every database sees it.
    let mut seen = 0;
    for number in 0..count {
        seen += service.derived_tasks(&format!("database-{number:06}")).expect("a database").len();
    }
    assert_eq!(seen, count);
    let derive_seconds = begun.elapsed().as_secs_f64();
    Run { directory, service, clock, loaded_mib, derive_seconds, derived_mib: resident_mib() }
}

/// Returns how long a tick takes where nothing is due, in microseconds: the median of many.
async fn idle_tick(run: &Run) -> f64 {
    let mut times = Vec::new();
    for _ in 0..1001 {
        run.clock.advance(SignedDuration::from_millis(1));
        let begun = Instant::now();
        assert_eq!(run.service.tick().await.expect("a tick"), 0);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Returns how long the ticks take that begin backups, in milliseconds for a hundred of them. The service's own loop begins
/// some as well; those are not counted.
async fn due_ticks(run: &Run) -> f64 {
    let hundred = json!({
        "Name": "Hundred",
        "FullBackupFrequency": "30 10 * * *",
        "LocalSettings": { "FolderPath": run.directory.join("hundred") },
        "Selector": { "Patterns": ["database-0000*"] },
    });
    run.service.put_task(hundred.as_object().expect("an object")).await.expect("the task is stored");
    let (mut begun, mut milliseconds) = (0, 0.0);
    // Beyond the moment itself and all that the starts are spread over.
    for _ in 0..70 {
        run.clock.advance(SignedDuration::from_mins(1));
        let started = Instant::now();
        let count = run.service.tick().await.expect("a tick");
        if count > 0 {
            begun += count;
            milliseconds += started.elapsed().as_secs_f64() * 1e3;
        }
    }
    assert!(begun > 0 && begun <= DUE, "{begun}");
    #[allow(clippy::cast_precision_loss, reason = "at most a hundred")]
    let share = begun as f64 / DUE as f64;
    milliseconds / share
}

async fn figures() {
    let few = run(FEW).await;
    println!("idle_tick_few_us {:.1}", idle_tick(&few).await);
    println!("due_tick_few_ms {:.2}", due_ticks(&few).await);
    few.service.stop().await;
    drop(few);
    let base = resident_mib();
    let many = run(MANY).await;
    println!("databases {MANY}");
    println!("derive_seconds {:.3}", many.derive_seconds);
    println!("resident_loaded_mib {:.1}", many.loaded_mib);
    println!("resident_derived_mib {:.1}", many.derived_mib);
    println!("resident_before_mib {base:.1}");
    println!("idle_tick_many_us {:.1}", idle_tick(&many).await);
    let begun = Instant::now();
    let runs = many.service.next_runs(None, 5).expect("next runs");
    println!("next_runs_ms {:.1}", begun.elapsed().as_secs_f64() * 1e3);
    assert_eq!(runs.len(), 5);
    println!("due_tick_many_ms {:.2}", due_ticks(&many).await);
    many.service.stop().await;
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["figures"] => figures().await,
        ["prepare", path, count] => {
            prepare(Path::new(path), count.parse().expect("a number"), Timestamp::now()).await;
        }
        _ => println!("usage: scheduler figures | scheduler prepare STATE COUNT"),
    }
}
