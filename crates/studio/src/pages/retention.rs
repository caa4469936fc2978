//! What is kept, by which rule, and what goes next: of a database's own backups, now and in days to come, by the task's
//! policy or by one that is tried.

use crate::Studio;
use crate::answer::{Page, page};
use crate::face::{Face, Moment};
use crate::frame::{Frame, Here};
use crate::plot::timeline::{self, Form, Window};
use askama::Template;
use axum::extract::{Path, Query, State};
use jiff::ToSpan;
use larder_model::PeriodicBackupConfiguration;
use larder_model::task::RetentionPolicy;
use larder_service::{OutlookBackup, RetentionOutlook, TaskView};
use serde::Deserialize;
use std::collections::BTreeMap;

/// How many of the backups that go are listed.
const GOING: usize = 40;
/// How many days one may look ahead.
const MOST_DAYS: i32 = 3660;
/// How many days are looked ahead where nothing is said.
const USUAL_DAYS: i32 = 7;
/// How many destinations are shown.
const DESTINATIONS: usize = 6;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    task: String,
    #[serde(default)]
    days: String,
    /// Whether the numbers below are meant, and not the task's own.
    #[serde(default)]
    tried: String,
    #[serde(default)]
    age: String,
    #[serde(default)]
    last: String,
    #[serde(default)]
    hourly: String,
    #[serde(default)]
    daily: String,
    #[serde(default)]
    weekly: String,
    #[serde(default)]
    monthly: String,
    #[serde(default)]
    yearly: String,
    #[serde(default)]
    minimum: String,
}

/// A number of a policy, as the form has it.
struct Number {
    name: &'static str,
    label: &'static str,
    value: String,
}

/// A backup that goes.
struct Going {
    made: Moment,
    kind: String,
    is_made: bool,
    goes: Moment,
    why: String,
}

/// One destination.
struct Place {
    name: String,
    /// The moment it shows, where that is not now.
    when: Option<String>,
    picture: Option<String>,
    summary: String,
    going: Vec<Going>,
    more_going: usize,
    /// What would go after the next good backup.
    at_once: usize,
}

#[derive(Template)]
#[template(path = "retention.html")]
struct Retention {
    frame: Frame,
    name: String,
    tasks: Vec<(String, bool)>,
    task: String,
    /// The server-wide task to change, where there is one.
    server_wide: Option<String>,
    numbers: Vec<Number>,
    age: String,
    days: i32,
    is_tried: bool,
    places: Vec<Place>,
    trouble: Option<String>,
}

pub(super) async fn show(
    State(studio): State<Studio>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    let face = studio.face();
    let view = studio.service.database(&name).map_err(|error| studio.trouble(error))?;
    let name = view.database.name.to_string();
    let task = view.tasks.iter().find(|one| one.task.name == asked.task).or(view.tasks.first());
    let days = asked.days.trim().parse().unwrap_or(USUAL_DAYS).clamp(0, MOST_DAYS);
    let is_tried = !asked.tried.is_empty();
    let (mut places, mut trouble, mut shown) = (Vec::new(), None, PeriodicBackupConfiguration::default());
    match task.map(|view| tried(&view.task, &asked)) {
        None => {}
        Some(Err(message)) => trouble = Some(message),
        Some(Ok(meant)) => {
            let until = face.now.checked_add(i64::from(days).saturating_mul(24).hours()).unwrap_or(face.now);
            let own = task.map(|view| view.task.name.as_str());
            match studio.service.retention_outlook(&name, own, Some(&meant), None, until).await {
                Ok(found) => {
                    places = found.iter().take(DESTINATIONS).map(|one| Place::of(one, &face)).collect();
                }
                Err(error) => trouble = Some(error.to_string()),
            }
            shown = meant;
        }
    }
    let chosen = |view: &TaskView| task.is_some_and(|task| task.task.name == view.task.name);
    page(&Retention {
        frame: studio.frame(Here::Databases, format!("What is kept of {name}")),
        tasks: view.tasks.iter().map(|view| (view.task.name.clone(), chosen(view))).collect(),
        task: task.map(|task| task.task.name.clone()).unwrap_or_default(),
        server_wide: task.and_then(|task| task.server_wide.clone()),
        numbers: numbers(&shown, &asked, is_tried),
        age: match is_tried {
            true => asked.age.clone(),
            false => policy(&shown).minimum_backup_age_to_keep.map(|age| age.to_string()).unwrap_or_default(),
        },
        days,
        is_tried,
        places,
        trouble,
        name,
    })
}

fn policy(task: &PeriodicBackupConfiguration) -> RetentionPolicy {
    task.retention_policy.clone().unwrap_or_default()
}

/// Returns the task as it is, or with the numbers of the form.
fn tried(task: &PeriodicBackupConfiguration, asked: &Asked) -> Result<PeriodicBackupConfiguration, String> {
    let mut task = task.clone();
    if asked.tried.is_empty() {
        return Ok(task);
    }
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            let shown: String = text.chars().take(20).collect();
            format!("“{shown}” is no number of backups; write 0, 1, 2 and so on")
        }),
    };
    let age = match asked.age.trim() {
        "" => None,
        text => Some(text.parse().map_err(|_| {
            let shown: String = text.chars().take(20).collect();
            format!("“{shown}” is no length of time; write days.hours:minutes:seconds, such as 14.00:00:00")
        })?),
    };
    let policy = RetentionPolicy {
        disabled: false,
        minimum_backup_age_to_keep: age,
        keep_last: number(&asked.last)?,
        keep_hourly: number(&asked.hourly)?,
        keep_daily: number(&asked.daily)?,
        keep_weekly: number(&asked.weekly)?,
        keep_monthly: number(&asked.monthly)?,
        keep_yearly: number(&asked.yearly)?,
        ..policy(&task)
    };
    task.minimum_backups_to_keep = number(&asked.minimum)?;
    task.retention_policy = Some(policy);
    Ok(task)
}

fn numbers(task: &PeriodicBackupConfiguration, asked: &Asked, is_tried: bool) -> Vec<Number> {
    let policy = policy(task);
    let all = [
        ("last", "last", policy.keep_last, &asked.last),
        ("hourly", "hourly", policy.keep_hourly, &asked.hourly),
        ("daily", "daily", policy.keep_daily, &asked.daily),
        ("weekly", "weekly", policy.keep_weekly, &asked.weekly),
        ("monthly", "monthly", policy.keep_monthly, &asked.monthly),
        ("yearly", "yearly", policy.keep_yearly, &asked.yearly),
        ("minimum", "never fewer than", task.minimum_backups_to_keep, &asked.minimum),
    ];
    let number = |(name, label, own, asked): (_, _, Option<u32>, &String)| Number {
        name,
        label,
        value: if is_tried { asked.clone() } else { own.map(|own| own.to_string()).unwrap_or_default() },
    };
    all.into_iter().map(number).collect()
}

impl Place {
    fn of(outlook: &RetentionOutlook, face: &Face) -> Self {
        // What no rule keeps today goes all at once, and needs no line for each.
        let unkept = |backup: &&OutlookBackup| backup.rules.is_empty();
        let at_once = outlook.going.iter().filter(unkept).count();
        let going: Vec<&OutlookBackup> = outlook.going.iter().filter(|backup| !unkept(backup)).collect();
        Self {
            name: outlook.destination.clone(),
            when: is_ahead(outlook).then(|| face.short(outlook.at)),
            picture: draw(outlook, face),
            summary: summary(outlook),
            more_going: going.len().saturating_sub(GOING),
            going: going.into_iter().take(GOING).map(|backup| Going::of(backup, face)).collect(),
            at_once: at_once + outlook.backups.iter().filter(unkept).count(),
        }
    }
}

/// Says whether any run is foreseen.
fn is_ahead(outlook: &RetentionOutlook) -> bool {
    outlook.backups.iter().chain(&outlook.going).any(|backup| backup.id.is_none())
}

/// Says how many there will be, and how many of them are there today.
fn summary(outlook: &RetentionOutlook) -> String {
    let kept = outlook.backups.iter().filter(|backup| !backup.rules.is_empty());
    let (made, all) = (kept.clone().filter(|backup| backup.id.is_some()).count(), kept.count());
    let backups = |count| larder_model::human::count(count, "backup");
    if !outlook.has_policy {
        return format!("There is no rule, so all {} are kept for ever.", backups(outlook.backups.len()));
    }
    if !is_ahead(outlook) {
        return format!("{all} of {} are kept.", backups(outlook.backups.len()));
    }
    let gone = outlook.going.iter().filter(|backup| backup.id.is_some()).count();
    match gone {
        0 => format!("There are {}: all {made} of today, and {} new.", backups(all), all - made),
        _ => format!(
            "There are {}: {made} of today's and {} new; {gone} of today's are gone.",
            backups(all),
            all - made
        ),
    }
}

impl Going {
    fn of(backup: &OutlookBackup, face: &Face) -> Self {
        Self {
            made: face.moment(backup.time),
            kind: backup.kind.map(|kind| kind.to_string()).unwrap_or_default(),
            is_made: backup.id.is_some(),
            goes: face.moment(backup.goes.unwrap_or(backup.time)),
            why: format!("until then: {}", backup.rules.join("; ")),
        }
    }
}

/// Draws the backups on lines of time: all of them, kept filled and going hollow, then those of each rule.
fn draw(outlook: &RetentionOutlook, face: &Face) -> Option<String> {
    let mark = |backup: &OutlookBackup, form: Form, rule: &str| {
        let kind = backup.kind.map_or(String::new(), |kind| format!(" {kind}"));
        let made = if backup.id.is_some() { "" } else { ", to be made" };
        let fate = match backup.goes {
            Some(goes) => format!("goes {}", face.short(goes)),
            None if backup.rules.is_empty() => "goes after the next good backup".to_owned(),
            None if rule.is_empty() => format!("kept: {}", backup.rules.join("; ")),
            None => rule.to_owned(),
        };
        timeline::Mark {
            at: backup.time,
            form,
            hue: if backup.id.is_some() { "there" } else { "coming" },
            title: format!("{}{kind}{made}: {fate}", face.short(backup.time)),
            address: None,
        }
    };
    let form = |backup: &OutlookBackup| match backup.goes.is_none() && !backup.rules.is_empty() {
        true => Form::Dot,
        false => Form::Ring,
    };
    let every = || outlook.backups.iter().chain(&outlook.going);
    let mut all = timeline::Row { name: "all backups".to_owned(), ..timeline::Row::default() };
    all.marks = every().map(|backup| mark(backup, form(backup), "")).collect();
    let mut rules: BTreeMap<&str, timeline::Row> = BTreeMap::new();
    for backup in &outlook.backups {
        for rule in &backup.rules {
            let row = rules.entry(rule).or_default();
            row.name.clone_from(rule);
            row.marks.push(mark(backup, Form::Dot, rule));
        }
    }
    let window = Window::around(every().map(|backup| backup.time).chain([face.now, outlook.at]))?;
    let rows: Vec<timeline::Row> = std::iter::once(all).chain(rules.into_values()).collect();
    let about = format!("the backups on lines of time, a line a rule; {}", summary(outlook));
    every().next().map(|_| timeline::draw(&rows, window, face, &about))
}
