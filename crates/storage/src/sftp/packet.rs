//! The packets of SFTP version 3: draft-ietf-secsh-filexfer-02, and OpenSSH's extensions as its file PROTOCOL lists them.

/// What a request asks for, by its number in the draft.
pub(super) mod kind {
    pub(in super::super) const INIT: u8 = 1;
    pub(in super::super) const VERSION: u8 = 2;
    pub(in super::super) const OPEN: u8 = 3;
    pub(in super::super) const CLOSE: u8 = 4;
    pub(in super::super) const READ: u8 = 5;
    pub(in super::super) const WRITE: u8 = 6;
    pub(in super::super) const FSTAT: u8 = 8;
    pub(in super::super) const OPENDIR: u8 = 11;
    pub(in super::super) const READDIR: u8 = 12;
    pub(in super::super) const REMOVE: u8 = 13;
    pub(in super::super) const MKDIR: u8 = 14;
    pub(in super::super) const REALPATH: u8 = 16;
    pub(in super::super) const STAT: u8 = 17;
    pub(in super::super) const RENAME: u8 = 18;
    pub(in super::super) const STATUS: u8 = 101;
    pub(in super::super) const HANDLE: u8 = 102;
    pub(in super::super) const DATA: u8 = 103;
    pub(in super::super) const NAME: u8 = 104;
    pub(in super::super) const ATTRS: u8 = 105;
    pub(in super::super) const EXTENDED: u8 = 200;
    pub(in super::super) const EXTENDED_REPLY: u8 = 201;
}

/// How a request ended, by its number in the draft.
pub(super) mod status {
    pub(in super::super) const OK: u32 = 0;
    pub(in super::super) const EOF: u32 = 1;
    pub(in super::super) const NO_SUCH_FILE: u32 = 2;
    pub(in super::super) const PERMISSION_DENIED: u32 = 3;
    pub(in super::super) const FAILURE: u32 = 4;
    pub(in super::super) const NO_CONNECTION: u32 = 6;
    pub(in super::super) const CONNECTION_LOST: u32 = 7;
    // Of later versions of the draft; some servers use them all the same.
    pub(in super::super) const NO_SPACE: u32 = 14;
    pub(in super::super) const QUOTA_EXCEEDED: u32 = 15;
}

/// How a file is opened.
pub(super) mod open {
    pub(in super::super) const READ: u32 = 1;
    pub(in super::super) const WRITE: u32 = 2;
    pub(in super::super) const CREATE: u32 = 8;
    pub(in super::super) const EXCLUSIVE: u32 = 0x20;
}

/// A packet being written; its length stands before it.
#[derive(Debug)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Begins a request; the number is what its answer will bear.
    pub(super) fn request(kind: u8, id: u32, room: usize) -> Self {
        let mut writer = Self(Vec::with_capacity(room + 64));
        writer.0.extend([0, 0, 0, 0, kind]);
        writer.u32(id)
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        // Every text and chunk is far shorter than 4 GiB.
        let mut writer = self.u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        writer.0.extend(bytes);
        writer
    }

    /// Says that no attributes are given, or only a mode.
    pub(super) fn attributes(self, mode: Option<u32>) -> Self {
        match mode {
            None => self.u32(0),
            Some(mode) => self.u32(attribute::PERMISSIONS).u32(mode),
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        if let Some(start) = self.0.get_mut(..4) {
            start.copy_from_slice(&length.to_be_bytes());
        }
        self.0
    }
}

mod attribute {
    pub(super) const SIZE: u32 = 1;
    pub(super) const OWNER: u32 = 2;
    pub(super) const PERMISSIONS: u32 = 4;
    pub(super) const TIMES: u32 = 8;
    pub(super) const EXTENDED: u32 = 0x8000_0000;
}

/// What the server says of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// In bytes.
    pub(super) size: Option<u64>,
    /// The mode with the kind of file, as stat(2) has it.
    pub(super) mode: Option<u32>,
    /// In seconds since 1970.
    pub(super) modified: Option<u32>,
}

impl Attributes {
    fn kind(self) -> Option<u32> {
        self.mode.map(|mode| mode & 0o170_000)
    }

    pub(super) fn is_folder(self) -> bool {
        self.kind() == Some(0o040_000)
    }

    pub(super) fn is_file(self) -> bool {
        self.kind() == Some(0o100_000)
    }
}

/// A packet being read. Every step gives nothing where the packet is too short.
#[derive(Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.u32()?).ok()?;
        self.take(count)
    }

    pub(super) fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.u32()?;
        let mut found = Attributes::default();
        if flags & attribute::SIZE != 0 {
            found.size = Some(self.u64()?);
        }
        if flags & attribute::OWNER != 0 {
            self.take(8)?;
        }
        if flags & attribute::PERMISSIONS != 0 {
            found.mode = Some(self.u32()?);
        }
        if flags & attribute::TIMES != 0 {
            self.u32()?;
            found.modified = Some(self.u32()?);
        }
        if flags & attribute::EXTENDED != 0 {
            for _ in 0..self.u32()? {
                self.bytes()?;
                self.bytes()?;
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Reader, Writer, kind};

    #[test]
    fn packets_are_written_as_the_draft_says() {
        let packet = Writer::request(kind::OPEN, 7, 0).bytes(b"ab").u32(1).attributes(Some(0o600)).finish();
        let wanted =
            [0, 0, 0, 23, 3, 0, 0, 0, 7, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 1, 128];
        assert_eq!(packet, wanted);
    }

    #[test]
    fn attributes_are_read_with_what_is_not_asked_for_between_them() {
        let mut bytes = Vec::new();
        for value in [0x8000_000f_u32, 0, 5, 1000, 1000, 0o100_644, 11, 12, 1] {
            bytes.extend(value.to_be_bytes());
        }
        for text in ["name", "value"] {
            bytes.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        let found = Reader(&bytes).attributes().unwrap();
        assert_eq!(found, Attributes { size: Some(5), mode: Some(0o100_644), modified: Some(12) });
        assert!(found.is_file() && !found.is_folder());
        assert_eq!(
            Reader(&bytes[..bytes.len() - 1]).attributes(),
            None,
            "a packet that is cut makes no sense"
        );
    }
}
