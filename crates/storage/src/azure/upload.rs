//! How a blob is written: in one piece, or in blocks that one request makes a blob.

use super::Azure;
use super::account::Begun;
use crate::error::StorageError;
use crate::http::Attempt;
use bytes::Bytes;
use http::Method;
use md5::{Digest, Md5};
use reqsign_core::hash::base64_encode;

/// What is larger is written in blocks.
const ONE_PIECE_AT_MOST: usize = 64 << 20;
/// How large a block is; a blob has at most 50,000 of them.
const BLOCK: usize = 16 << 20;

/// What a blob is written with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// Where it is to lie; where nothing is said, the account decides.
    pub(super) tier: Option<&'static str>,
    /// Whether one that exists is kept.
    pub(super) only_new: bool,
}

impl Azure {
    /// Writes a blob; says whether it was written, which it is not where one was to be kept.
    pub(super) async fn write(
        &self,
        attempt: &Attempt<'_>,
        data: Bytes,
        manner: Manner,
    ) -> Result<bool, StorageError> {
        let name = self.prefix.name(attempt.path);
        if data.len() > ONE_PIECE_AT_MOST {
            return self.write_blocks(attempt, &name, &data, manner).await;
        }
        let begun = self
            .account
            .blob(Method::PUT, &name, &[])
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-md5", &base64_encode(&Md5::digest(&data)));
        self.finish(attempt, begun, data, manner).await
    }

    /// Blocks that no list names are forgotten by the service after a week, and are never listed as blobs.
    async fn write_blocks(
        &self,
        attempt: &Attempt<'_>,
        name: &str,
        data: &Bytes,
        manner: Manner,
    ) -> Result<bool, StorageError> {
        let whole = base64_encode(&Md5::digest(data));
        let mut list = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for (index, start) in (0..data.len()).step_by(BLOCK).enumerate() {
            // Writers of other content name their blocks otherwise; all names of a blob must have one length.
            let id = base64_encode(format!("{whole}-{index:06}").as_bytes());
            let block = data.slice(start..data.len().min(start + BLOCK));
            let begun = self
                .account
                .blob(Method::PUT, name, &[("comp", "block"), ("blockid", &id)])
                .header("content-md5", &base64_encode(&Md5::digest(&block)));
            self.ask(attempt, begun, block).await?;
            list.push_str(&format!("<Latest>{id}</Latest>"));
        }
        list.push_str("</BlockList>");
        let begun = self
            .account
            .blob(Method::PUT, name, &[("comp", "blocklist")])
            .header("x-ms-blob-content-md5", &whole);
        self.finish(attempt, begun, list.into(), manner).await
    }

    async fn finish(
        &self,
        attempt: &Attempt<'_>,
        begun: Begun,
        body: Bytes,
        manner: Manner,
    ) -> Result<bool, StorageError> {
        let begun = begun
            .maybe("x-ms-access-tier", manner.tier)
            .maybe("if-none-match", manner.only_new.then_some("*"));
        match self.ask(attempt, begun, body).await {
            Ok(_) => Ok(true),
            Err(refused) if manner.only_new && refused.says_that_it_exists() => Ok(false),
            Err(refused) => Err(refused.error),
        }
    }
}
