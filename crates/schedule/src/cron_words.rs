//! A cron expression as a person says it: `every day at 02:00`, `every 4 hours, Monday to Friday`.

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Says an expression of five fields, separated by single spaces, in words; `None` where it is not one of the usual forms.
pub(crate) fn say(expression: &str) -> Option<String> {
    let fields: Vec<&str> = expression.split(' ').collect();
    let [minute, hour, day, "*", weekday] = fields.as_slice() else { return None };
    let time = time(minute, hour)?;
    let day = match (*day, *weekday) {
        ("*", "*") => None,
        ("*", weekday) => Some(weekdays(weekday)?),
        (day, "*") => Some(format!("on the {} of each month", ordinal(number(day, 31)?))),
        _ => return None,
    };
    let said = match (time.strip_prefix("at "), day) {
        (Some(_), None) => format!("every day {time}"),
        (Some(_), Some(day)) => format!("{day} {time}"),
        (None, None) => time,
        (None, Some(day)) => format!("{time}, {day}"),
    };
    Some(said)
}

fn time(minute: &str, hour: &str) -> Option<String> {
    if let Some(step) = minute.strip_prefix("*/") {
        let step = number(step, 30)?;
        return (hour == "*" && step > 1 && 60 % step == 0).then(|| format!("every {step} minutes"));
    }
    if (minute, hour) == ("*", "*") {
        return Some("every minute".to_owned());
    }
    let minute = number(minute, 59)?;
    let past = if minute == 0 { String::new() } else { format!(" at minute {minute}") };
    if hour == "*" {
        return Some(format!("every hour{past}"));
    }
    if let Some(step) = hour.strip_prefix("*/") {
        let step = number(step, 12)?;
        return (step > 1 && 24 % step == 0).then(|| format!("every {step} hours{past}"));
    }
    let hours: Option<Vec<String>> =
        hour.split(',').map(|hour| Some(format!("{:02}:{minute:02}", number(hour, 23)?))).collect();
    Some(format!("at {}", listed(&hours?)))
}

fn weekdays(field: &str) -> Option<String> {
    if let Some((from, to)) = field.split_once('-') {
        return Some(format!("{} to {}", weekday(from)?, weekday(to)?));
    }
    let days: Option<Vec<String>> = field.split(',').map(|day| Some(format!("{}s", weekday(day)?))).collect();
    Some(format!("on {}", listed(&days?)))
}

fn weekday(text: &str) -> Option<&'static str> {
    if let Some(number) = number(text, 7) {
        return DAYS.get(usize::from(number % 7)).copied();
    }
    let short = text.to_ascii_lowercase();
    DAYS.into_iter().find(|day| short.len() == 3 && day.to_ascii_lowercase().starts_with(&short))
}

fn number(text: &str, most: u8) -> Option<u8> {
    text.parse().ok().filter(|number| *number <= most)
}

fn ordinal(number: u8) -> String {
    let ending = match (number % 10, number) {
        (1, n) if n != 11 => "st",
        (2, n) if n != 12 => "nd",
        (3, n) if n != 13 => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

fn listed(all: &[String]) -> String {
    match all {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_forms_are_said_as_people_say_them() {
        for (expression, said) in [
            ("0 2 * * *", "every day at 02:00"),
            ("30 2,14,20 * * *", "every day at 02:30, 14:30 and 20:30"),
            ("0 2 * * 0", "on Sundays at 02:00"),
            ("0 2 * * 7", "on Sundays at 02:00"),
            ("0 2 * * MON-FRI", "Monday to Friday at 02:00"),
            ("0 2 * * mon,wed", "on Mondays and Wednesdays at 02:00"),
            ("0 3 1 * *", "on the 1st of each month at 03:00"),
            ("15 3 22 * *", "on the 22nd of each month at 03:15"),
            ("0 * * * *", "every hour"),
            ("5 * * * *", "every hour at minute 5"),
            ("0 */4 * * *", "every 4 hours"),
            ("0 */6 * * 1-5", "every 6 hours, Monday to Friday"),
            ("*/15 * * * *", "every 15 minutes"),
            ("* * * * *", "every minute"),
        ] {
            assert_eq!(say(expression).as_deref(), Some(said), "{expression}");
        }
    }

    #[test]
    fn what_is_not_usual_is_left_to_others() {
        for expression in
            ["0 2 1 1 *", "0 2 1 * 1", "*/7 * * * *", "0 */5 * * *", "0-5 2 * * *", "0 2 L * *", ""]
        {
            assert_eq!(say(expression), None, "{expression}");
        }
    }
}
