//! Samples of the tree that is measured: so that each primitive is given what the pipeline gives it.

use crate::Failure;
use larder_repository::Chunker;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// At most so many bytes of each kind of file are looked at.
const SAMPLE_BYTES: u64 = 96 << 20;

/// One top-level directory of the tree, whose files are of one kind.
pub(crate) struct Sample {
    /// The directory's name.
    pub(crate) name: String,
    /// Bytes in all files of the directory.
    pub(crate) all_bytes: u64,
    /// The files of the sample.
    pub(crate) files: Vec<PathBuf>,
    /// What they hold, file after file.
    pub(crate) contents: Vec<Vec<u8>>,
}

impl Sample {
    /// Takes a sample of each directory in a tree.
    pub(crate) fn of_tree(tree: &Path) -> Result<Vec<Self>, Failure> {
        let mut samples = Vec::new();
        let mut folders: Vec<PathBuf> =
            fs::read_dir(tree)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
        folders.sort();
        for folder in folders {
            let mut files = Vec::new();
            let all_bytes = collect(&folder, &mut files)?;
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut sample = Self { name, all_bytes, files: Vec::new(), contents: Vec::new() };
            let mut taken = 0;
            for (path, bytes) in files {
                let rest = SAMPLE_BYTES - taken;
                let mut content = Vec::new();
                File::open(&path)?.take(rest).read_to_end(&mut content)?;
                taken += content.len() as u64;
                sample.contents.push(content);
                sample.files.push(path);
                if bytes >= rest || taken >= SAMPLE_BYTES {
                    break;
                }
            }
            samples.push(sample);
        }
        Ok(samples)
    }

    /// Returns how many bytes the sample has.
    pub(crate) fn bytes(&self) -> usize {
        self.contents.iter().map(Vec::len).sum()
    }

    /// Cuts the sample into the blobs that the pipeline would make.
    pub(crate) fn blobs(&self) -> Vec<&[u8]> {
        let chunker = Chunker::by_content();
        let mut blobs = Vec::new();
        for content in &self.contents {
            let mut rest = content.as_slice();
            while let Some(length) = chunker.next_chunk(rest, true) {
                let (blob, tail) = rest.split_at(length);
                blobs.push(blob);
                rest = tail;
            }
        }
        blobs
    }
}

/// Lists the files below a directory with their sizes, and returns the sum of these.
fn collect(directory: &Path, files: &mut Vec<(PathBuf, u64)>) -> Result<u64, Failure> {
    let mut sum = 0;
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            sum += collect(&entry.path(), files)?;
        } else {
            sum += metadata.len();
            files.push((entry.path(), metadata.len()));
        }
    }
    Ok(sum)
}
