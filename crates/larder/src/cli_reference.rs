//! `docs/cli.md`, made from the command line itself, so that the two cannot part.

use crate::cli::Cli;
use clap::{Command, CommandFactory};

/// Where the reference lies, seen from this crate.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");

const FRONT: &str = "\
# The command line

Made from the program's own help; a test fails when the two differ. Write it anew with
`LARDER_UPDATE_DOCS=1 cargo test -p larder cli_reference`.

Results go to standard output, remarks and progress to standard error. With `--json` every command prints one JSON
value on standard output; a failure is `{\"Error\":{\"Kind\",\"Message\"}}` there.

";

const TASK_EXAMPLE: &str = "\
## A task as a file

```toml
Name = \"Nightly\"
FullBackupFrequency = \"0 2 * * *\"            # five fields: minute, hour, day of month, month, day of week
IncrementalBackupFrequency = \"*/20 * * * *\"
TimeZone = \"Europe/Berlin\"                   # the server's where nothing is said
ExcludedDatabases = [\"scratch\"]

[RetentionPolicy]
MinimumBackupAgeToKeep = \"7.00:00:00\"        # days.hours:minutes:seconds

[LocalSettings]
FolderPath = \"/srv/backups\"                  # each database gets a folder in it

[Selector]                                   # all databases where nothing is said
Engines = [\"sqlite\"]

[[Schedules]]                                # further schedules, as many as are needed
When = \"every 4h..6h\"                       # or a cron expression, \"Daily at 02:30\", \"after changes, quiet 2m,
Backup = \"Incremental\"                      # at most every 30m\", \"Shutdown\", \"Manual\"
```

`larder task put nightly.toml` stores it. JSON with the same keys does as well. A setting that a file does not name keeps its
value when a task is changed; in JSON `null` clears it. A misspelt setting is shown with its line and the one that was meant.
Ready files are in `examples/`.
";

fn reference() -> String {
    let mut text = FRONT.to_owned();
    let mut command = Cli::command().term_width(100);
    command.build();
    describe(&mut command, &mut text);
    text.push_str(TASK_EXAMPLE);
    text
}

fn describe(command: &mut Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or("larder").to_owned();
    let help = command.render_long_help().to_string();
    let help: String = help.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    text.push_str(&format!("## {name}\n\n```text\n{}\n```\n\n", help.trim_end()));
    for inner in command.get_subcommands_mut() {
        describe(inner, text);
    }
}

#[test]
fn the_reference_says_what_the_help_says() {
    let expected = reference();
    if std::env::var_os("LARDER_UPDATE_DOCS").is_some() {
        std::fs::write(FILE, &expected).unwrap();
    }
    let written = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        written == expected,
        "docs/cli.md is not what the help says; run: LARDER_UPDATE_DOCS=1 cargo test -p larder cli_reference"
    );
}
