//! What each primitive reaches alone on one core, the limit that follows for the pipeline, and its share of that.

use crate::Failure;
use crate::backup;
use crate::cost::{self, best_of_three};
use crate::sample::Sample;
use larder_repository::{
    Chunker, Compression, Compressor, Id, MIN_CHUNK_BYTES, MasterKey, OVERHEAD_BYTES, PACK_BYTES,
};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

/// As many bytes as the pipeline reads of a file at once.
const READ_BYTES: usize = 2 << 20;

/// CPU seconds a byte of the source of each step, for one kind of file.
struct Steps {
    name: String,
    all_bytes: f64,
    /// Bytes that are packed for each byte read.
    packed: f64,
    read: f64,
    chunk: f64,
    hash: f64,
    compress: f64,
    seal: f64,
    copy: f64,
    name_pack: f64,
    write: f64,
}

impl Steps {
    fn arithmetic(&self) -> f64 {
        self.chunk + self.hash + self.compress + self.seal + self.name_pack
    }

    fn with_bytes_moved(&self) -> f64 {
        self.arithmetic() + self.read + self.copy + self.write
    }
}

#[allow(clippy::cast_precision_loss, reason = "sizes of samples are far below what a float holds exactly")]
fn float(bytes: usize) -> f64 {
    bytes as f64
}

fn measure(sample: &Sample, scratch: &Path) -> Result<Steps, Failure> {
    let bytes = float(sample.bytes());
    let blobs = sample.blobs();
    let mut buffer = vec![0; READ_BYTES];
    let read = best_of_three(|| {
        for path in &sample.files {
            let mut file = File::open(path)?;
            while file.read(&mut buffer)? > 0 {}
        }
        Ok(())
    })?;
    let read_bytes: u64 =
        sample.files.iter().filter_map(|path| fs::metadata(path).ok()).map(|m| m.len()).sum();
    let chunker = Chunker::by_content();
    let chunk = best_of_three(|| {
        for content in sample.contents.iter().filter(|content| content.len() > MIN_CHUNK_BYTES) {
            let mut rest = content.as_slice();
            while let Some(length) = chunker.next_chunk(rest, true) {
                rest = &rest[length..];
            }
        }
        Ok(())
    })?;
    let hash = best_of_three(|| {
        for blob in &blobs {
            std::hint::black_box(Id::of(blob));
        }
        Ok(())
    })?;
    let mut compressor = Compressor::new(Compression::Optimal)?;
    let compress = best_of_three(|| {
        for blob in &blobs {
            std::hint::black_box(compressor.pack(blob)?);
        }
        Ok(())
    })?;
    let mut sealed = Vec::new();
    for blob in &blobs {
        sealed.push(compressor.pack(blob)?.buffer.to_vec());
    }
    let packed_bytes: usize = sealed.iter().map(Vec::len).sum();
    let key = MasterKey::random()?;
    let seal = best_of_three(|| {
        for blob in sealed.iter_mut().filter(|blob| blob.len() > OVERHEAD_BYTES) {
            key.seal_slice(blob)?;
        }
        Ok(())
    })?;
    let mut pack = Vec::with_capacity(PACK_BYTES * 2);
    let copy = best_of_three(|| {
        pack.clear();
        for blob in &sealed {
            if pack.len() + blob.len() > PACK_BYTES {
                pack.clear();
            }
            pack.extend_from_slice(blob);
        }
        Ok(())
    })?;
    pack.resize(PACK_BYTES, 7);
    let name_pack = best_of_three(|| {
        std::hint::black_box(Id::of(&pack));
        Ok(())
    })?;
    let file = scratch.join("pack");
    let write = best_of_three(|| {
        for _ in 0..4 {
            File::create(&file)?.write_all(&pack)?;
        }
        Ok(())
    })?;
    fs::remove_file(&file)?;
    let packed = float(packed_bytes) / bytes;
    let a_packed_byte = packed / float(PACK_BYTES);
    #[allow(clippy::cast_precision_loss, reason = "sizes of files are far below what a float holds exactly")]
    let (all_bytes, read_bytes) = (sample.all_bytes as f64, read_bytes as f64);
    Ok(Steps {
        name: sample.name.clone(),
        all_bytes,
        packed,
        read: read / read_bytes,
        chunk: chunk / bytes,
        hash: hash / bytes,
        compress: compress / bytes,
        seal: seal / bytes,
        copy: copy / bytes,
        name_pack: name_pack * a_packed_byte,
        write: write / 4.0 * a_packed_byte,
    })
}

/// Measures everything and prints two tables. `scratch` is a directory for what is written; it is left empty.
pub(crate) fn run(tree: &Path, scratch: &Path, runs: usize) -> Result<(), Failure> {
    fs::create_dir_all(scratch)?;
    let steps: Vec<Steps> =
        Sample::of_tree(tree)?.iter().map(|sample| measure(sample, scratch)).collect::<Result<_, _>>()?;
    print_rates(&steps);
    print_share(&steps, tree, scratch, runs)
}

type Part = (&'static str, fn(&Steps) -> f64, bool);

/// Name, seconds a byte of the source, and whether the step works on packed bytes.
const PARTS: [Part; 8] = [
    ("read (page cache)", |s| s.read, false),
    ("FastCDC", |s| s.chunk, false),
    ("SHA-256 of blobs", |s| s.hash, false),
    ("zstd, or probe + copy", |s| s.compress, false),
    ("AES-256-CTR + Poly1305", |s| s.seal, true),
    ("copy into the pack", |s| s.copy, true),
    ("SHA-256 of packs", |s| s.name_pack, true),
    ("write (page cache)", |s| s.write, true),
];

fn print_rates(steps: &[Steps]) {
    println!("one core, thread CPU time, best of 3: MB/s of what the step is given | ms a MB of the source");
    let head: String = steps.iter().map(|s| format!("{:>22}", s.name)).collect();
    println!("  {:<24}{head}", "");
    for (name, of, packed) in PARTS {
        let cells = steps.iter().map(|s| {
            let seconds = of(s);
            if seconds < 1e-12 {
                return format!("{:>22}", "-");
            }
            let given = if packed { s.packed } else { 1.0 };
            format!("{:>12.0} | {:>7.3}", given / seconds / 1e6, seconds * 1e9)
        });
        println!("  {name:<24}{}", cells.collect::<String>());
    }
    let ratios = steps.iter().map(|s| format!("{:>20.1} %", s.packed * 100.0));
    println!("  {:<24}{}", "stored of the source", ratios.collect::<String>());
}

fn print_share(steps: &[Steps], tree: &Path, scratch: &Path, runs: usize) -> Result<(), Failure> {
    let bytes: f64 = steps.iter().map(|s| s.all_bytes).sum();
    let limit: f64 = steps.iter().map(|s| s.all_bytes * s.arithmetic()).sum();
    let moved: f64 = steps.iter().map(|s| s.all_bytes * s.with_bytes_moved()).sum();
    let runtime = backup::runtime()?;
    let mut costs = Vec::new();
    for threads in [1, 0] {
        let mut taken = Vec::new();
        for _ in 0..runs.max(1) {
            let destination = scratch.join("repository");
            let targets = backup::repositories(runtime.handle(), &[&destination.to_string_lossy()])?;
            // What earlier runs left to be written or freed must not slow down this one.
            Command::new("sync").status()?;
            let work = || backup::tree(tree, &targets, backup::options(threads));
            taken.push(cost::of_process(work)?.1);
            fs::remove_dir_all(&destination)?;
        }
        taken.sort_by(|a, b| a.cpu_seconds().total_cmp(&b.cpu_seconds()));
        costs.extend(taken.get(taken.len() / 2).map(|cost| (threads, *cost)));
    }
    println!("\n{:.2} GB of this mix, medians of {runs}", bytes / 1e9);
    println!("  {:<52}{:>8}{:>10}", "", "CPU s", "MB/s/core");
    let line =
        |name: &str, seconds: f64| println!("  {name:<52}{seconds:>8.2}{:>10.0}", bytes / seconds / 1e6);
    line("limit: hash, cipher, chunker, zstd", limit);
    line("limit: these, reading and writing", moved);
    for (threads, cost) in &costs {
        let name = if *threads == 1 { "the pipeline, 1 thread" } else { "the pipeline, a thread a core" };
        line(name, cost.cpu_seconds());
        let (share, with_moves) = (limit / cost.cpu_seconds(), moved / cost.cpu_seconds());
        println!(
            "    user {:.2}, system {:.2}, wall {:.2} s; {:.0} % of the first limit, {:.0} % of the second; in user time {:.0} % of the first",
            cost.user_seconds,
            cost.system_seconds,
            cost.wall_seconds,
            share * 100.0,
            with_moves * 100.0,
            limit / cost.user_seconds * 100.0
        );
    }
    Ok(())
}
