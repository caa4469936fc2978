//! The folder of a bucket that a destination is.

use crate::path;

/// What stands before the path of every object in the names that the service knows: nothing, or `folder/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// Takes a folder as people write it, with or without slashes around it.
    ///
    /// # Errors
    /// Says why it can be no folder.
    pub(crate) fn new(folder: Option<&str>) -> Result<Self, String> {
        let folder = folder.unwrap_or_default().trim().trim_matches('/');
        if folder.is_empty() {
            return Ok(Self::default());
        }
        path::objection(folder)
            .map_or_else(|| Ok(Self(format!("{folder}/"))), |cause| Err(format!("RemoteFolderName: {cause}")))
    }

    /// Returns the name of an object.
    pub(crate) fn name(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Returns how the names of all objects below a folder begin; the root's is empty.
    pub(crate) fn below(&self, folder: &str) -> String {
        if folder.is_empty() { self.0.clone() } else { format!("{}{folder}/", self.0) }
    }

    /// Returns the path of an object; nothing where it is none of ours, as the empty objects that some tools make for folders.
    pub(crate) fn path<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.0).filter(|path| path::objection(path).is_none())
    }

    /// Returns it as a part of an address for people: nothing, or `/folder`.
    pub(crate) fn described(&self) -> String {
        if self.0.is_empty() { String::new() } else { format!("/{}", self.0.trim_end_matches('/')) }
    }
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn names_and_paths_belong_together() {
        let prefix = Prefix::new(Some("/some/where/")).unwrap();
        assert_eq!(prefix.name("data/ab"), "some/where/data/ab");
        assert_eq!(prefix.path("some/where/data/ab"), Some("data/ab"));
        assert_eq!(prefix.path("some/where/data/"), None);
        assert_eq!(prefix.path("somewhere/data"), None);
        assert_eq!(
            (prefix.below("").as_str(), prefix.below("data").as_str()),
            ("some/where/", "some/where/data/")
        );
        assert_eq!(prefix.described(), "/some/where");
    }

    #[test]
    fn no_folder_is_the_whole_bucket() {
        for folder in [None, Some(""), Some(" / ")] {
            let prefix = Prefix::new(folder).unwrap();
            assert_eq!((prefix.name("x").as_str(), prefix.below("").as_str()), ("x", ""));
        }
        assert!(Prefix::new(Some("a/../b")).is_err());
    }
}
