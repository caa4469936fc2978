//! Large objects are written past the page cache, and large pieces of them read past it.
//!
//! A pack is written once and not read soon. In the page cache it would cost a copy, push out what the machine's own
//! programs need, and be thrown away for the next pack. Whoever reads packs reads each once.

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};

/// Shorter objects are not worth it.
const FROM_BYTES: usize = 1 << 20;
/// What address and length are to be multiples of; no file system that Linux knows asks for more.
const ALIGNMENT: usize = 4096;

/// Writes all bytes to a new file; directly, where their address and the file system permit it.
pub(crate) fn write_all(file: &mut File, data: &[u8]) -> io::Result<()> {
    let mut rest = data;
    if data.len() >= FROM_BYTES && data.as_ptr().align_offset(ALIGNMENT) == 0 {
        rest = &data[write_directly(file, &data[..data.len() / ALIGNMENT * ALIGNMENT])?..];
    }
    file.write_all(rest)
}

/// Returns how many bytes were written. Whatever hinders the rest is no error yet: it is tried in the usual way.
fn write_directly(file: &mut File, data: &[u8]) -> io::Result<usize> {
    let flags = fcntl_getfl(&*file)?;
    if fcntl_setfl(&*file, flags | OFlags::DIRECT).is_err() {
        return Ok(0);
    }
    let mut written = 0;
    while written < data.len() && written.is_multiple_of(ALIGNMENT) {
        match file.write(&data[written..]) {
            Ok(bytes) if bytes > 0 => written += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
    fcntl_setfl(&*file, flags)?;
    Ok(written)
}

/// Reads so many bytes from a position of a file directly. Returns nothing where that is not worth it or not possible, or
/// fewer bytes are there: it is then tried in the usual way, which tells what is wrong.
pub(crate) fn read(file: &File, from: u64, length: usize) -> Option<Bytes> {
    let before = usize::try_from(from % ALIGNMENT as u64).ok()?;
    let wanted = before.checked_add(length)?;
    if length < FROM_BYTES {
        return None;
    }
    let mut memory = aligned(wanted.checked_next_multiple_of(ALIGNMENT)?)?;
    let lead = memory.len();
    let flags = fcntl_getfl(file).ok()?;
    fcntl_setfl(file, flags | OFlags::DIRECT).ok()?;
    let start = from - before as u64;
    loop {
        let read = memory.len() - lead;
        if read >= wanted || !read.is_multiple_of(ALIGNMENT) {
            break;
        }
        match rustix::io::pread(file, spare_capacity(&mut memory), start + read as u64) {
            Ok(1..) | Err(Errno::INTR) => {}
            _ => break,
        }
    }
    fcntl_setfl(file, flags).ok()?;
    let begin = lead + before;
    (memory.len() >= lead + wanted).then(|| Bytes::from(memory).slice(begin..begin + length))
}

/// Takes memory with room for so many bytes and no more, behind a few that are there so that the room begins at a page.
fn aligned(bytes: usize) -> Option<Vec<u8>> {
    let mut memory: Vec<u8> = Vec::with_capacity(bytes.checked_add(ALIGNMENT)?);
    let lead = memory.as_ptr().align_offset(ALIGNMENT);
    if lead > ALIGNMENT {
        return None;
    }
    memory.resize(lead, 0);
    memory.shrink_to(lead + bytes);
    let begin = memory.as_ptr().wrapping_add(lead);
    (begin.align_offset(ALIGNMENT) == 0 && memory.capacity() == lead + bytes).then_some(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;

    #[test]
    fn every_range_that_is_there_is_read_and_no_other() {
        let directory = TempDir::new();
        let memory: Vec<u8> = (0..(3u32 << 20) + 77).map(|number| (number / 3) as u8).collect();
        std::fs::write(directory.join("object"), &memory).unwrap();
        let file = File::open(directory.join("object")).unwrap();
        for from in [0, 1, 4095, 4096, 10_000, memory.len() - FROM_BYTES] {
            for length in [FROM_BYTES, FROM_BYTES + 1, 2 << 20, memory.len() - from] {
                let there = memory.get(from..from + length);
                match read(&file, from as u64, length) {
                    Some(bytes) => assert!(there.is_some_and(|there| bytes == there), "{length} from {from}"),
                    // Not every file system permits it.
                    None => assert!(
                        there.is_none() || read(&file, 0, FROM_BYTES).is_none(),
                        "{length} from {from}"
                    ),
                }
            }
        }
        assert_eq!(read(&file, u64::MAX, FROM_BYTES), None);
        assert_eq!(read(&file, 0, FROM_BYTES - 1), None);
    }

    #[test]
    fn what_was_read_can_be_changed_in_place() {
        let directory = TempDir::new();
        std::fs::write(directory.join("object"), vec![1; 2 << 20]).unwrap();
        let file = File::open(directory.join("object")).unwrap();
        if let Some(bytes) = read(&file, 5000, FROM_BYTES) {
            assert!(bytes.try_into_mut().is_ok());
        }
    }

    #[test]
    fn every_length_and_address_gives_the_same_bytes() {
        let directory = TempDir::new();
        let memory: Vec<u8> = (0..(3u32 << 20)).map(|number| (number / 3) as u8).collect();
        let aligned = memory.as_ptr().align_offset(ALIGNMENT);
        for from in [aligned, aligned + 1, aligned + 512] {
            for length in [0, 1, FROM_BYTES - 1, FROM_BYTES, FROM_BYTES + 1, FROM_BYTES + 4095, 2 << 20] {
                let data = &memory[from..from + length];
                let path = directory.join("object");
                let mut file = File::create(&path).unwrap();
                write_all(&mut file, data).unwrap();
                assert!(std::fs::read(&path).unwrap() == data, "{length} bytes from {from}");
            }
        }
    }
}
