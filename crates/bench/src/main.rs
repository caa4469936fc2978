//! Measures the engine by itself: what its primitives reach alone, and what the pipeline reaches with them.
//!
//! The scripts under `bench/` build and call it; nothing that ships depends on it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]

mod backup;
mod cost;
mod pages;
mod primitives;
mod sample;
mod sink;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;

/// Whatever went wrong, in its own words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "\
larder-bench primitives TREE SCRATCH [RUNS]        rates of the primitives, and the pipeline's share of their limit
larder-bench backup [--threads N] TREE DESTINATION...   one backup of a tree to all destinations at once
larder-bench stream GIGABYTES DESTINATION          one stream of so many GB, of which a part deduplicates
larder-bench pages SCRATCH                         a database file with scattered changed pages, backed up twice";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match *words.as_slice() {
        ["primitives", tree, scratch] => primitives::run(&PathBuf::from(tree), &PathBuf::from(scratch), 3),
        ["primitives", tree, scratch, runs] => runs
            .parse()
            .map_err(Failure::from)
            .and_then(|runs| primitives::run(&PathBuf::from(tree), &PathBuf::from(scratch), runs)),
        ["backup", "--threads", threads, tree, ref destinations @ ..] => {
            threads.parse().map_err(Failure::from).and_then(|n| backup::run(tree, destinations, n))
        }
        ["backup", tree, ref destinations @ ..] => backup::run(tree, destinations, 0),
        ["stream", gigabytes, destination] => {
            gigabytes.parse().map_err(Failure::from).and_then(|n| stream::run(n, destination))
        }
        ["pages", scratch] => pages::run(&PathBuf::from(scratch)),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
