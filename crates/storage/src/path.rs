//! Which paths an object may have.

/// Says why a path cannot name an object, or nothing where it can.
///
/// The rule of [`crate::Storage`]: relative, parts separated by `/`, no part empty, `.` or `..`, and none longer
/// than the 255 bytes that every file system in use can keep.
pub(crate) fn objection(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("the path is empty");
    }
    if path.contains('\0') {
        return Some("the path contains a zero byte");
    }
    path.split('/').find_map(|part| match part {
        "" => Some("the path has an empty part"),
        "." | ".." => Some("the path has a part that is '.' or '..'"),
        long if long.len() > 255 => Some("the path has a part longer than 255 bytes"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::objection;

    #[test]
    fn plain_paths_are_accepted() {
        for path in ["config", "data/ab/cdef", "...", "a b/ü\"'\n\\", ".larder/x"] {
            assert_eq!(objection(path), None, "{path}");
        }
    }

    #[test]
    fn paths_that_could_leave_the_root_are_refused() {
        for path in
            ["", "/etc/passwd", "a//b", "a/", "../x", "a/../b", "./a", "a/.", "a\0b", &"x".repeat(256)]
        {
            assert!(objection(path).is_some(), "{path}");
        }
    }
}
