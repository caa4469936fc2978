//! `larder diff`: what differs between two backups.

use crate::cli::DiffArguments;
use crate::client::{Client, Path};
use crate::exit::{Exit, Failure};
use crate::show::screen::Screen;
use crate::show::table::Table;
use larder_model::human::{count, size};
use larder_service::{BackupDifference, ChangeKind, ChangedEntry, ComparedMeasure};

pub(crate) fn run(arguments: &DiffArguments, screen: &Screen) -> Result<Exit, Failure> {
    let only = arguments.only.map(|kind| format!("{kind:?}"));
    let path = Path::new(["databases", &arguments.database, "compare"])
        .with("before", Some(&arguments.before))
        .with("after", Some(&arguments.after))
        .with("kind", only.as_deref())
        .with("start", Some(&arguments.start.to_string()))
        .with("limit", Some(&arguments.limit.to_string()))
        .with("destination", arguments.destination.as_deref());
    let found: BackupDifference = Client::new(&arguments.connection)?.get(&path)?;
    screen.result(&found, &told(&found, screen))
}

fn told(found: &BackupDifference, screen: &Screen) -> String {
    let (before, after) = (&found.before, &found.after);
    let mut parts = vec![format!(
        "{} of {} against {} of {}: {}",
        before.id.short(),
        screen.moment(before.time),
        after.id.short(),
        screen.moment(after.time),
        summary(found)
    )];
    let mut measures = Table::new(&["counted", ">before", ">after", ""]);
    for measure in found.measures.iter().filter(|measure| measure.change.is_some()) {
        measures.row([
            measure.subject.clone(),
            number(measure.count_before),
            number(measure.count_after),
            said(measure).to_owned(),
        ]);
    }
    if !measures.is_empty() {
        parts.push(measures.to_string());
    }
    let mut entries = Table::new(&["", ">before", ">after", "path"]);
    for entry in &found.entries {
        entries.row(row(entry));
    }
    if !entries.is_empty() {
        parts.push(entries.to_string());
    }
    let shown = found.start + found.entries.len();
    if shown < found.total {
        parts.push(format!("{} more; see them with --start {shown}", found.total - shown));
    }
    parts.join("\n\n")
}

/// Says how much differs: `2 entries added (1.0 KiB), 1 entry removed (3 B)`.
fn summary(found: &BackupDifference) -> String {
    let noun = |entries: u64| {
        let number = usize::try_from(entries).unwrap_or(usize::MAX);
        if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
    };
    let all: Vec<String> = found
        .counts
        .iter()
        .filter(|one| one.entries > 0)
        .map(|one| match one.kind {
            ChangeKind::Added => format!("{} added ({})", noun(one.entries), size(one.bytes_after)),
            ChangeKind::Removed => format!("{} removed ({})", noun(one.entries), size(one.bytes_before)),
            ChangeKind::Changed => {
                format!(
                    "{} changed ({} → {})",
                    noun(one.entries),
                    size(one.bytes_before),
                    size(one.bytes_after)
                )
            }
            ChangeKind::Metadata => format!("{} with other metadata", noun(one.entries)),
        })
        .collect();
    let tables = found.measures.iter().filter(|one| one.is_table && one.change.is_some()).count();
    let tables = (tables > 0).then(|| format!("{} not the same", count(tables, "table")));
    let all: Vec<String> = all.into_iter().chain(tables).collect();
    if all.is_empty() { "they hold the same.".to_owned() } else { format!("{}.", all.join(", ")) }
}

/// Says how what was counted differs; that the numbers are the same does not mean that the content is.
const fn said(measure: &ComparedMeasure) -> &'static str {
    match (measure.change, measure.count_before, measure.count_after) {
        (Some(ChangeKind::Added), ..) => "added",
        (Some(ChangeKind::Removed), ..) => "removed",
        (Some(_), Some(before), Some(after)) if before == after => "other content",
        (Some(_), ..) => "changed",
        (None, ..) => "the same",
    }
}

fn number(count: Option<u64>) -> String {
    count.map(|count| count.to_string()).unwrap_or_default()
}

fn row(entry: &ChangedEntry) -> [String; 4] {
    let bytes = |one: &Option<larder_service::StoredEntry>| {
        one.as_ref().map(|one| size(one.size_bytes)).unwrap_or_default()
    };
    let path = entry.after.as_ref().or(entry.before.as_ref()).map(|one| one.path.to_string());
    [entry.change.to_string(), bytes(&entry.before), bytes(&entry.after), path.unwrap_or_default()]
}
