//! What destinations that are reached by HTTP share: one client, its patience, and the words of its failures.
//!
//! A request is an [`::http::Request`] of [`bytes::Bytes`], so that whoever signs it can do so on its parts. It is sent once:
//! trying again is the business of those who call a destination.

mod address;
mod answer;
mod client;
#[cfg(test)]
mod client_tests;
mod kind;
mod own_certificate;
mod progress;
mod refusal;
mod refusal_body;
mod retry_after;
mod tls;
mod trouble;

pub(crate) use address::{Address, encode, encode_path};
pub(crate) use answer::Answer;
pub(crate) use client::Client;
pub(crate) use refusal::Refusal;
pub(crate) use trouble::Attempt;
