//! The lines in which FTP servers list a folder.

/// What a line describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file, with its size in bytes where the line tells it.
    File(Option<u64>),
    /// A folder.
    Folder,
    /// A link or something else: the server must be asked what it leads to.
    Unknown,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// When it was changed, as `YYYYMMDDHHMMSS` in universal time, where the line tells it exactly.
    pub(super) modified: Option<String>,
}

/// Reads a line for machines: RFC 3659, 7. `Ok(None)` stands for the folder itself and the one above.
pub(super) fn machine(line: &str) -> Result<Option<Item>, String> {
    let wrong = || format!("the listing has a line that makes no sense: '{line}'");
    // Facts have no spaces between them; all behind the first space is the name.
    let (facts, name) = line.split_once(' ').ok_or_else(wrong)?;
    let (mut kind, mut size, mut modified) = (None, None, None);
    for fact in facts.split(';').filter(|fact| !fact.is_empty()) {
        let (key, value) = fact.split_once('=').ok_or_else(wrong)?;
        match key.to_ascii_lowercase().as_str() {
            "type" => kind = Some(value.to_ascii_lowercase()),
            "size" => size = Some(value.parse::<u64>().map_err(|_| wrong())?),
            "modify" => modified = value.get(..14).map(str::to_owned),
            _ => {}
        }
    }
    let kind = match kind.as_deref() {
        Some("cdir" | "pdir") => return Ok(None),
        Some("file") => Kind::File(size),
        Some("dir") => Kind::Folder,
        _ => Kind::Unknown,
    };
    item(name, kind, modified).map_or_else(|| Err(wrong()), Ok)
}

/// Reads a line for people, in the form of `ls -l` or of DOS. `Ok(None)` stands for what is no entry.
pub(super) fn human(line: &str) -> Result<Option<Item>, String> {
    if line.trim().is_empty() || line.to_ascii_lowercase().starts_with("total ") {
        return Ok(None);
    }
    let found = if line.starts_with(|c: char| c.is_ascii_digit()) { dos(line) } else { unix(line) };
    let wrong = || format!("the listing has a line that makes no sense: '{line}'");
    let (name, kind) = found.ok_or_else(wrong)?;
    item(name, kind, None).map_or_else(|| Err(wrong()), Ok)
}

/// Leaves out the folder itself and the one above; nothing where the name cannot be one.
fn item(name: &str, kind: Kind, modified: Option<String>) -> Option<Option<Item>> {
    match name {
        "" => None,
        "." | ".." => Some(None),
        slashed if slashed.contains('/') => None,
        name => Some(Some(Item { name: name.to_owned(), kind, modified })),
    }
}

/// `-rw-r--r-- 1 owner group 1234 Nov 5 13:46 name`, also without a group, and with the year or an ISO date.
fn unix(line: &str) -> Option<(&str, Kind)> {
    let words: Vec<(usize, &str)> = words(line).collect();
    // Mode, links, owner, group, size: some leave one of them out.
    let date = (4..words.len()).find(|&at| {
        let word = |at: usize| words.get(at).map_or("", |(_, word)| word);
        is_number(word(at - 1)) && date_words(word(at), word(at + 1), word(at + 2)) > 0
    })?;
    let word = |at: usize| words.get(at).map_or("", |(_, word)| word);
    let last = date + date_words(word(date), word(date + 1), word(date + 2)) - 1;
    let (start, time) = words.get(last)?;
    // Exactly one space stands before the name: it may begin with more.
    let name = line.get(start + time.len()..)?.strip_prefix(' ')?;
    match line.chars().next()? {
        '-' => Some((name, Kind::File(Some(word(date - 1).parse().ok()?)))),
        'd' => Some((name, Kind::Folder)),
        'l' => Some((name.split(" -> ").next().unwrap_or(name), Kind::Unknown)),
        _ => Some((name, Kind::Unknown)),
    }
}

/// `11-05-24  01:46PM       1234 name` and `11-05-2024  01:46PM  <DIR>  name`.
fn dos(line: &str) -> Option<(&str, Kind)> {
    let mut words = words(line);
    let (_, date) = words.next()?;
    let (_, time) = words.next()?;
    let (start, third) = words.next()?;
    if date.split('-').count() != 3 || !time.contains(':') {
        return None;
    }
    let rest = line.get(start + third.len()..)?;
    if third.eq_ignore_ascii_case("<DIR>") {
        return Some((rest.trim_start(), Kind::Folder));
    }
    let size = third.replace(',', "").parse().ok()?;
    Some((rest.strip_prefix(' ')?, Kind::File(Some(size))))
}

fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(' ')
        .scan(0, |at, word| {
            let start = *at;
            *at += word.len() + 1;
            Some((start, word))
        })
        .filter(|(_, word)| !word.is_empty())
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Of how many words a date consists that begins here: `Nov 5 13:46`, `2024-11-05 13:46`, or none.
fn date_words(first: &str, second: &str, third: &str) -> usize {
    let clock = |word: &str| word.contains(':') && word.starts_with(|c: char| c.is_ascii_digit());
    let day = |word: &str| is_number(word) && word.len() <= 2;
    let month = |word: &str| word.chars().count() >= 3 && word.chars().all(|c| c.is_alphabetic() || c == '.');
    if month(first) && day(second) && (clock(third) || (is_number(third) && third.len() == 4)) {
        return 3;
    }
    let iso = first.len() == 10 && first.split('-').all(is_number) && first.split('-').count() == 3;
    if iso && clock(second) { 2 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::{Item, Kind, human, machine};

    fn file(name: &str, size: u64) -> Option<Item> {
        Some(Item { name: name.to_owned(), kind: Kind::File(Some(size)), modified: None })
    }

    fn other(name: &str, kind: Kind) -> Option<Item> {
        Some(Item { name: name.to_owned(), kind, modified: None })
    }

    #[test]
    fn lines_for_machines_are_read() {
        let line = "modify=20241105134600.123;perm=adfr;Size=1234;TYPE=file;UNIX.mode=0644; a b; c ";
        let found = machine(line).unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.kind), ("a b; c ", Kind::File(Some(1234))));
        assert_eq!(found.modified.as_deref(), Some("20241105134600"));
        assert_eq!(machine("type=dir; x").unwrap(), other("x", Kind::Folder));
        assert_eq!(machine("type=cdir;modify=20240101000000; /a/b").unwrap(), None);
        assert_eq!(machine("type=OS.unix=symlink; x").unwrap(), other("x", Kind::Unknown));
        assert_eq!(machine("type=file; x").unwrap(), other("x", Kind::File(None)));
    }

    #[test]
    fn lines_of_unix_are_read() {
        let lines = [
            ("-rw-r--r--   1 owner group     1234 Nov  5 13:46 plain", file("plain", 1234)),
            ("-rw-r--r-- 1 owner group 0 Nov 5 2019  two  spaces ", file(" two  spaces ", 0)),
            ("-rw------- 1 owner 7 Nov 5 2019 no-group", file("no-group", 7)),
            ("-rw-r--r-- 1 1000 1000 12 2024-11-05 13:46 iso", file("iso", 12)),
            ("-rw-r--r--+ 1 May 12 1234 Mai 5 2019 Jun 3 2020", file("Jun 3 2020", 1234)),
            ("drwxr-xr-x 2 owner group 4096 Nov 5 13:46 folder", other("folder", Kind::Folder)),
            ("lrwxrwxrwx 1 o g 4 Nov 5 13:46 link -> there", other("link", Kind::Unknown)),
            ("total 17", None),
            ("drwxr-xr-x 2 owner group 4096 Nov 5 13:46 ..", None),
        ];
        for (line, wanted) in lines {
            assert_eq!(human(line).unwrap(), wanted, "{line}");
        }
    }

    #[test]
    fn lines_of_dos_are_read() {
        assert_eq!(human("11-05-24  01:46PM                 1234 a  b").unwrap(), file("a  b", 1234));
        assert_eq!(
            human("11-05-2024  01:46PM       <DIR>          sub dir").unwrap(),
            other("sub dir", Kind::Folder)
        );
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_and_not_left_out() {
        for line in
            ["what is this", "-rw-r--r-- 1 o g many Nov 5 13:46 x", "11-05-24 01:46PM much x", "-rw 1"]
        {
            assert!(human(line).is_err(), "{line}");
        }
        for line in ["no facts", "type=file;size=much; x", "type=file; a/b", "type=file;"] {
            assert!(machine(line).is_err(), "{line}");
        }
    }
}
