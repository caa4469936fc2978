//! The list of what is lost for good: the first of it for the operation's messages, all of it in a file.

use larder_repository::Loss;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// How many lost files an operation's messages name.
const NAMED: usize = 90;

/// Takes losses one by one; however many there are, memory holds few.
#[derive(Debug)]
pub(crate) struct LossList {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    failure: Option<io::Error>,
    pub(crate) named: Vec<Loss>,
    count: usize,
}

impl LossList {
    /// Makes a list that is written to a file once there is something to write.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, failure: None, named: Vec::new(), count: 0 }
    }

    /// Adds what is lost at a destination.
    pub(crate) fn add(&mut self, destination: &str, loss: Loss) {
        self.count += 1;
        if self.failure.is_none()
            && let Err(error) = self.write(destination, &loss)
        {
            self.failure = Some(error);
        }
        if self.named.len() < NAMED {
            self.named.push(loss);
        }
    }

    fn write(&mut self, destination: &str, loss: &Loss) -> io::Result<()> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = fs::OpenOptions::new().create(true).append(true).open(&self.path)?;
            self.file = Some(BufWriter::new(file));
        }
        match &mut self.file {
            // One line each, whatever the name of a file may hold.
            Some(file) => writeln!(file, "{destination}\t{}\t{}", loss.snapshot, loss.path.escape_debug()),
            None => Ok(()),
        }
    }

    /// Says where the whole list lies, where there is one.
    pub(crate) fn finish(&mut self) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let flushed = self.file.take().map_or(Ok(()), |mut file| file.flush().and(file.get_ref().sync_all()));
        let (count, path) = (self.count, self.path.display());
        Some(match self.failure.take().map_or(flushed, Err) {
            Ok(()) => format!("the whole list of what is lost ({count}) lies in {path}"),
            Err(error) => {
                format!("the whole list of what is lost ({count}) could not be written to {path}: {error}")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_model::BackupId;

    #[test]
    fn every_loss_is_in_the_file_and_the_first_are_named() {
        let directory = larder_testbed::TempDir::new();
        let path = directory.join("reports/repair-7.txt");
        let mut list = LossList::new(&path);
        assert_eq!((list.finish(), path.exists()), (None, false));
        for number in 0..1000 {
            list.add("Local", Loss { snapshot: BackupId("ab".to_owned()), path: format!("/a\n{number}") });
        }
        let said = list.finish().unwrap();
        assert!(said.contains("(1000)") && said.contains("repair-7.txt"), "{said}");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!((text.lines().count(), list.named.len()), (1000, NAMED));
        assert_eq!(text.lines().next(), Some("Local\tab\t/a\\n0"));
    }
}
