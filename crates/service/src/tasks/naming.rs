//! Names that the server makes, and names that no task may have.

use crate::derivation::same_name;
use crate::error::{ErrorKind, ServiceError};
use larder_model::task::SERVER_WIDE_PREFIX;

/// The longest name a task may have, in characters.
const MAX_TASK_NAME: usize = 128;

/// Makes a name that is not taken out of one that may be: ` #2`, ` #3`, … are added until it is free.
///
/// They are added one after the other, so that the third is `Backup to Local #2 #3`: RavenDB's clients know these names.
pub(crate) fn free(name: String, is_taken: impl Fn(&str) -> bool) -> String {
    let mut name = name;
    let mut number = 2_u32;
    while is_taken(&name) {
        name = format!("{name} #{number}");
        number = number.saturating_add(1);
    }
    name
}

/// Refuses a name that could not be shown or told apart.
pub(crate) fn check(name: &str) -> Result<(), ServiceError> {
    if name.trim() != name || name.chars().any(char::is_control) || name.chars().count() > MAX_TASK_NAME {
        return Err(ServiceError::invalid(
            "Name",
            format!(
                "{name:?} cannot be the name of a task; give at most {MAX_TASK_NAME} characters, without control characters or spaces at the ends"
            ),
        ));
    }
    Ok(())
}

/// Refuses the name of a single database's task that looks as if it came from a server-wide one.
pub(crate) fn check_own(name: &str) -> Result<(), ServiceError> {
    let reserved =
        name.get(..SERVER_WIDE_PREFIX.len()).is_some_and(|start| same_name(start, SERVER_WIDE_PREFIX));
    if reserved {
        return Err(ServiceError::refused(
            ErrorKind::ApplyRefused,
            format!(
                "'{name}' cannot be the name of a task of one database: names that begin with '{SERVER_WIDE_PREFIX}' belong to server-wide tasks; choose another name"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_names_grow_as_ravendbs_do() {
        let mut taken: Vec<String> = Vec::new();
        for expected in
            ["Backup to Local", "Backup to Local #2", "Backup to Local #2 #3", "Backup to Local #2 #3 #4"]
        {
            let name =
                free("Backup to Local".to_owned(), |name| taken.iter().any(|other| same_name(other, name)));
            assert_eq!(name, expected);
            taken.push(name);
        }
    }

    #[test]
    fn names_of_server_wide_tasks_are_reserved_whatever_their_case() {
        assert!(check_own("Nightly").is_ok());
        assert!(check_own("Server Wide").is_ok());
        for name in ["Server Wide Backup, x", "server wide backup"] {
            assert_eq!(check_own(name).unwrap_err().kind(), ErrorKind::ApplyRefused);
        }
    }
}
