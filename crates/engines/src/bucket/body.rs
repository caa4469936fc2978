//! The bytes of an object, taken up again where the connection breaks.

use super::store::{Bucket, Trouble};
use crate::sink::Content;
use bytes::{Buf, Bytes};
use larder_storage::{ObjectBytes, ObjectHead, OpenObject};
use std::io::{self, Read};
use tokio::sync::OwnedSemaphorePermit;

/// How often in a row a connection may break without a byte in between.
const BREAKS: u32 = 8;

/// An open object. Its end is seen only when all bytes came that were announced.
pub(super) struct Body {
    bucket: Bucket,
    pub(super) head: ObjectHead,
    bytes: ObjectBytes,
    waiting: Bytes,
    came: u64,
    breaks: u32,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Body {
    pub(super) fn new(bucket: Bucket, open: OpenObject, turn: Option<OwnedSemaphorePermit>) -> Self {
        let OpenObject { head, bytes } = open;
        Self { bucket, head, bytes, waiting: Bytes::new(), came: 0, breaks: 0, _turn: turn }
    }

    /// Waits for more; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        while self.waiting.is_empty() && self.came < self.head.size_bytes {
            match self.bucket.wait(self.bytes.next()) {
                Ok(Some(bytes)) => {
                    self.came += bytes.len() as u64;
                    if self.came > self.head.size_bytes {
                        return Err(io::Error::other(format!(
                            "the service announced {} bytes, and sent more",
                            self.head.size_bytes
                        )));
                    }
                    self.breaks = 0;
                    self.waiting = bytes;
                }
                // An end before its time is a connection that broke.
                Ok(None) => self.take_up("it ended early".to_owned())?,
                Err(Trouble::Storage(error)) if error.is_retryable() => self.take_up(error.cause)?,
                Err(trouble) => return Err(told(trouble)),
            }
        }
        Ok(!self.waiting.is_empty())
    }

    fn take_up(&mut self, cause: String) -> io::Result<()> {
        self.breaks += 1;
        if self.breaks > BREAKS {
            let (came, all) = (self.came, self.head.size_bytes);
            return Err(io::Error::other(format!("only {came} of {all} bytes came: {cause}")));
        }
        self.bytes = self.bucket.resume(&self.head, self.came).map_err(told)?;
        Ok(())
    }
}

fn told(trouble: Trouble) -> io::Error {
    match trouble {
        Trouble::Canceled => io::Error::other(larder_model::Canceled),
        Trouble::Storage(error) => io::Error::other(error.cause),
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || !self.fill()? {
            return Ok(0);
        }
        let length = buffer.len().min(self.waiting.len());
        if let Some(buffer) = buffer.get_mut(..length) {
            self.waiting.copy_to_slice(buffer);
        }
        Ok(length)
    }
}

/// An open object as a file of a backup.
pub(super) struct Object {
    pub(super) body: Body,
    pub(super) shown: String,
}

impl Content for Object {
    fn open(self: Box<Self>) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.body))
    }

    fn display_path(&self) -> String {
        self.shown.clone()
    }
}
