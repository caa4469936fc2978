//! What can be wrong with a schedule.

/// A schedule that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression has not exactly five fields.
    #[error(
        "'{expression}' is no cron expression: it has {fields} fields, and five are needed (minute, hour, day of month, month, day of week), for example 0 2 * * *"
    )]
    FieldCount {
        /// The expression as it was given.
        expression: String,
        /// How many fields it has.
        fields: usize,
    },
    /// A field of the expression makes no sense.
    #[error("'{expression}' is no cron expression: {cause}")]
    Expression {
        /// The expression as it was given.
        expression: String,
        /// What is wrong with it.
        cause: String,
    },
    /// No day fits the expression.
    #[error("'{expression}' never comes: no day has that date")]
    Never {
        /// The expression as it was given.
        expression: String,
    },
    /// The zone is not known.
    #[error("'{name}' is no time zone; give an IANA name, for example Europe/Berlin or UTC")]
    Zone {
        /// The name as it was given.
        name: String,
    },
    /// It is none of the forms in which a schedule says when.
    #[error(
        "'{text}' is no schedule: {cause}; write a cron expression (0 2 * * *), every 4h..6h, Hourly, Daily at 02:30, Weekly, Monthly, Bimonthly, after changes, quiet 2m, at most every 30m, Shutdown or Manual"
    )]
    Form {
        /// The text as it was given.
        text: String,
        /// What is wrong with it.
        cause: String,
    },
}
