//! Reads a piece of log: checks that no link is missing, and finds what concerns one database.

use super::event::{
    BEGIN_LOAD, CHECKPOINT, EXECUTE_LOAD, Event, Events, FORMAT, GTID, GTID_LIST, INCIDENT, QUERY,
    QUERY_COMPRESSED, ROTATE, START_ENCRYPTION, STOP, TABLE_MAP, XA_PREPARE, XID, broken, number,
};
use super::statement::{Bearing, judge};
use std::io::{self, Read};

/// A GTID event's flags: no event of its own ends the group; the group is of a transaction in two phases.
const STANDALONE: u8 = 1;
const TWO_PHASES: u8 = 64 | 128;

/// One transaction, or one statement that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Where it begins in the file that was read.
    pub(crate) from: u64,
    /// Where it ends there.
    pub(crate) to: u64,
    /// Where it ends in the server's log.
    pub(crate) end: u64,
    /// When it ended, in seconds since 1970.
    pub(crate) time: u32,
    /// Which row of transactions it belongs to.
    pub(crate) domain: u64,
    /// Its number in that row.
    pub(crate) sequence: u64,
}

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// When the server began that file, in seconds since 1970.
    pub(crate) begun: u32,
    /// How long the beginning is that every copy needs.
    pub(crate) head: u64,
    /// Where the server's log goes on after what was read; where it began if nothing was.
    pub(crate) end: u64,
    /// The next file, where this one says that it is finished.
    pub(crate) next: Option<String>,
    /// What concerns the database, in the order of the log.
    pub(crate) groups: Vec<Group>,
    /// Why that cannot be replayed for the database alone.
    pub(crate) unclear: Option<String>,
}

/// Whose changes are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) database: &'a str,
    /// The other databases of the server.
    pub(crate) others: &'a [String],
}

/// Reads a file of log whose first link is at `from` in the server's own file; `None` for a file that was cut already, whose
/// links are not all there.
pub(crate) fn scan(file: impl Read, from: Option<u64>, subject: Subject<'_>) -> io::Result<Scan> {
    let (mut events, first) = Events::open(file)?;
    let mut at = 4 + first.length;
    let mut reading = Reading {
        found: Scan { begun: first.time, head: at, end: from.unwrap_or(at), ..Scan::default() },
        open: None,
        subject,
    };
    // What a server sends from within a file begins with a copy of its head, at no place of its own.
    let mut expected = from.map(|from| if from <= 4 { first.next.max(at) } else { from });
    if let Some(expected) = expected {
        reading.found.end = expected;
    }
    while let Some(event) = events.next()? {
        let next_at = at + event.length;
        if let Some(expected) = &mut expected {
            // Offsets are 32 bits wide in an event, and files may be longer.
            if event.next != 0 && (*expected + event.length) & 0xffff_ffff != event.next {
                return Err(broken("a link of the chain is missing"));
            }
            *expected += event.length;
            reading.found.end = *expected;
        } else if event.next != 0 {
            reading.found.end = event.next;
        }
        reading.take(&event, at, next_at)?;
        at = next_at;
    }
    reading.close()?;
    Ok(reading.found)
}

/// A group that has not ended yet.
struct Open {
    group: Group,
    is_own: bool,
    is_standalone: bool,
    has_ended: bool,
    unclear: Option<&'static str>,
    /// Statements with transactions in two phases cannot be told apart.
    in_two_phases: bool,
}

struct Reading<'a> {
    found: Scan,
    open: Option<Open>,
    subject: Subject<'a>,
}

impl Reading<'_> {
    fn take(&mut self, event: &Event, from: u64, to: u64) -> io::Result<()> {
        match event.kind {
            GTID => {
                self.close()?;
                let flags = event.body.get(12).copied().unwrap_or_default();
                let (domain, sequence) = (number(&event.body, 8, 4), number(&event.body, 0, 8));
                let group = Group { from, to, end: self.found.end, time: event.time, domain, sequence };
                self.open = Some(Open {
                    group,
                    is_own: false,
                    is_standalone: flags & STANDALONE != 0,
                    has_ended: false,
                    unclear: None,
                    in_two_phases: flags & TWO_PHASES != 0,
                });
                return Ok(());
            }
            ROTATE | STOP | CHECKPOINT | GTID_LIST | FORMAT => {
                self.close()?;
                if event.kind == ROTATE {
                    let name = event.body.get(8..).unwrap_or_default();
                    self.found.next = Some(String::from_utf8_lossy(name).into_owned());
                }
                return Ok(());
            }
            INCIDENT => {
                self.found.unclear = Some("the server noted that its log lost changes".to_owned());
                return Ok(());
            }
            START_ENCRYPTION => return Err(broken("it is encrypted")),
            _ => {}
        }
        let Some(open) = &mut self.open else {
            // Servers without GTIDs are not MariaDB 10 or newer.
            self.found.unclear = Some("the log has changes outside of transactions".to_owned());
            return Ok(());
        };
        open.group.to = to;
        open.group.end = self.found.end;
        open.group.time = event.time;
        match event.kind {
            TABLE_MAP => {
                let length = usize::from(event.body.get(8).copied().unwrap_or_default());
                let database = event.body.get(9..9 + length).unwrap_or_default();
                open.is_own |= String::from_utf8_lossy(database).eq_ignore_ascii_case(self.subject.database);
            }
            XID | XA_PREPARE => open.has_ended = true,
            QUERY | EXECUTE_LOAD => {
                let Some((default, statement)) = parts(event) else {
                    return Err(broken("a statement is not whole"));
                };
                match judge(default, statement, self.subject.database, self.subject.others) {
                    Bearing::Frame => {
                        open.has_ended |= !statement.eq_ignore_ascii_case(b"BEGIN");
                    }
                    Bearing::Foreign => open.has_ended |= open.is_standalone,
                    Bearing::Own => {
                        open.is_own = true;
                        open.has_ended |= open.is_standalone;
                        if event.kind == EXECUTE_LOAD {
                            open.unclear = Some("a file was loaded by statement");
                        }
                    }
                    Bearing::Unclear(why) => {
                        open.is_own = true;
                        open.has_ended |= open.is_standalone;
                        open.unclear = Some(why);
                    }
                }
            }
            QUERY_COMPRESSED => {
                open.has_ended |= open.is_standalone;
                let is_own = parts(event).is_none_or(|(default, _)| {
                    default.is_empty()
                        || String::from_utf8_lossy(default).eq_ignore_ascii_case(self.subject.database)
                });
                if is_own {
                    (open.is_own, open.unclear) = (true, Some("a statement is compressed"));
                }
            }
            BEGIN_LOAD => {}
            _ => {}
        }
        Ok(())
    }

    /// Ends the group that is open.
    fn close(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        if !(open.has_ended || open.is_standalone) {
            return Err(broken("a transaction lacks its end"));
        }
        if open.is_own {
            let two = open.in_two_phases.then_some("a transaction was prepared and committed apart");
            if let Some(why) = open.unclear.or(two)
                && self.found.unclear.is_none()
            {
                self.found.unclear = Some(why.to_owned());
            }
            self.found.groups.push(open.group);
        }
        Ok(())
    }
}

/// Takes a statement apart: the database in use, and its text.
fn parts(event: &Event) -> Option<(&[u8], &[u8])> {
    let body = event.body.as_slice();
    let database = usize::from(*body.get(8)?);
    let variables = number(body, 11, 2) as usize;
    // A statement that loads a file has thirteen bytes more before the variables.
    let from = if event.kind == EXECUTE_LOAD { 26 } else { 13 } + variables;
    let default = body.get(from..from + database)?;
    Some((default, body.get(from + database + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::super::event::tests::written;
    use super::super::event::{MAGIC, XID};
    use super::*;

    fn query(database: &str, text: &str) -> Vec<u8> {
        let mut body = [0; 13];
        body[8] = database.len() as u8;
        [&body[..], database.as_bytes(), &[0], text.as_bytes()].concat()
    }

    fn table_map(database: &str) -> Vec<u8> {
        [&[0; 8][..], &[database.len() as u8], database.as_bytes(), &[0, 1, b't', 0]].concat()
    }

    fn gtid(sequence: u64, flags: u8) -> Vec<u8> {
        [&sequence.to_le_bytes()[..], &[0; 4], &[flags], &[0; 6]].concat()
    }

    /// Writes a file that begins at a place of the server's file.
    fn file(from: u64, events: &[(u8, u32, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &written(FORMAT, 99, 4, &[4, 0, 1])].concat();
        let mut at = from;
        for (kind, time, body) in events {
            let event = written(*kind, *time, at, body);
            at += event.len() as u64;
            bytes.extend(event);
        }
        bytes
    }

    fn shop(others: &[String]) -> Subject<'_> {
        Subject { database: "shop", others }
    }

    fn transaction(sequence: u64, time: u32, database: &str) -> Vec<(u8, u32, Vec<u8>)> {
        vec![
            (GTID, time, gtid(sequence, 4)),
            (TABLE_MAP, time, table_map(database)),
            (XID, time + 1, vec![0; 8]),
        ]
    }

    #[test]
    fn transactions_of_the_database_are_found_with_their_place_and_moment() {
        let events = [
            transaction(1, 10, "crm"),
            transaction(2, 20, "shop"),
            vec![(GTID, 30, gtid(3, STANDALONE)), (QUERY, 31, query("shop", "CREATE TABLE x (a INT)"))],
        ]
        .concat();
        let bytes = file(500, &events);
        let found = scan(bytes.as_slice(), Some(500), shop(&[])).unwrap();
        assert_eq!((found.begun, found.unclear.as_deref()), (99, None));
        assert_eq!(found.end, 500 + bytes.len() as u64 - found.head);
        let shown: Vec<_> =
            found.groups.iter().map(|group| (group.time, group.domain, group.sequence)).collect();
        assert_eq!(shown, [(21, 0, 2), (31, 0, 3)]);
        assert_eq!(found.groups[1].to, bytes.len() as u64);
    }

    #[test]
    fn a_missing_link_and_a_transaction_without_end_are_seen() {
        let whole = [transaction(1, 10, "shop"), transaction(2, 20, "shop")].concat();
        assert!(scan(file(500, &whole).as_slice(), Some(501), shop(&[])).is_err());
        let cut = &whole[..5];
        let error = scan(file(500, cut).as_slice(), Some(500), shop(&[])).unwrap_err().to_string();
        assert!(error.contains("lacks its end"), "{error}");
    }

    #[test]
    fn what_cannot_be_replayed_alone_is_said() {
        let others = ["crm".to_owned()];
        let statement = |default: &str, text: &str| {
            let events = [
                (GTID, 1, gtid(1, 0)),
                (QUERY, 1, query("", "BEGIN")),
                (QUERY, 1, query(default, text)),
                (XID, 2, vec![0; 8]),
            ];
            scan(file(500, &events).as_slice(), Some(500), shop(&others)).unwrap()
        };
        let own = statement("shop", "INSERT INTO t VALUES (1)");
        assert_eq!((own.groups.len(), own.unclear), (1, None));
        let foreign = statement("crm", "INSERT INTO t VALUES (1)");
        assert_eq!((foreign.groups.len(), foreign.unclear), (0, None));
        assert!(statement("shop", "INSERT INTO t SELECT * FROM crm.t").unclear.is_some());
        assert!(statement("crm", "INSERT INTO shop.t VALUES (1)").unclear.is_some());
        let incident =
            scan(file(500, &[(INCIDENT, 1, vec![1, 0])]).as_slice(), Some(500), shop(&[])).unwrap();
        assert!(incident.unclear.is_some());
    }
}
