//! Large objects are written past the page cache.
//!
//! A pack is written once and not read soon. In the page cache it would cost a copy, push out what the machine's own
//! programs need, and be thrown away for the next pack.

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
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

#[cfg(test)]
mod tests {
    use super::*;
    use larder_testbed::TempDir;

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
