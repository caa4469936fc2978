//! A strict stand-in for the service of Glacier vaults, for what moto does not do: uploads in parts, tree hashes, ranges, names
//! of archives that differ for the same bytes, and an inventory that is as old as it is. Amazon publishes no server that
//! could be run here.

use crate::http_fake::{FakeAnswer, FakeRequest, HttpFake};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

const MIB: usize = 1 << 20;

/// A running stand-in with one vault and one key.
#[derive(Debug)]
pub struct GlacierFake {
    server: HttpFake,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct Archive {
    description: String,
    data: Vec<u8>,
    number: usize,
}

#[derive(Debug)]
struct Upload {
    description: String,
    part: usize,
    data: Vec<u8>,
}

#[derive(Debug)]
struct Job {
    /// The archive; nothing for the inventory.
    archive: Option<String>,
    tier: Option<String>,
    done: bool,
}

#[derive(Debug, Default)]
struct State {
    archives: BTreeMap<String, Archive>,
    uploads: BTreeMap<String, Upload>,
    jobs: BTreeMap<String, Job>,
    /// As the inventory saw the vault.
    inventory: Option<BTreeMap<String, Archive>>,
    made: usize,
    requests: Vec<String>,
    planned: VecDeque<FakeAnswer>,
}

impl GlacierFake {
    /// The vault's name.
    pub const VAULT: &'static str = "examplevault";
    /// The key that it knows; it does not check what is made with the secret half.
    pub const KEY: &'static str = "AKVAULT";

    /// Starts it, with an empty vault of which no inventory was made yet.
    #[must_use]
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = HttpFake::start(move |request| shared.lock().unwrap().answer(request));
        Self { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns its address, as `CustomServerUrl` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Makes the inventory, which Amazon does about once a day.
    pub fn take_inventory(&self) {
        let mut state = self.state();
        state.inventory = Some(state.archives.clone());
    }

    /// Ends all jobs well.
    pub fn finish_jobs(&self) {
        self.state().jobs.values_mut().for_each(|job| job.done = true);
    }

    /// Forgets all jobs, as Amazon does a day after they ended.
    pub fn forget_jobs(&self) {
        self.state().jobs.clear();
    }

    /// Answers the next requests with these, whatever they are.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = FakeAnswer>) {
        self.state().planned.extend(answers);
    }

    /// Changes a byte of every archive with this end of its description.
    pub fn damage(&self, path: &str) {
        for archive in self.state().archives.values_mut().filter(|one| one.description.ends_with(path)) {
            archive.data[0] ^= 1;
        }
    }

    /// Returns the descriptions of all archives, sorted.
    #[must_use]
    pub fn descriptions(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.state().archives.values().map(|archive| archive.description.clone()).collect();
        all.sort();
        all
    }

    /// Returns how many uploads in parts were begun and neither finished nor called off.
    #[must_use]
    pub fn unfinished_uploads(&self) -> usize {
        self.state().uploads.len()
    }

    /// Returns the tiers of all retrievals so far.
    #[must_use]
    pub fn tiers(&self) -> Vec<String> {
        self.state().jobs.values().filter_map(|job| job.tier.clone()).collect()
    }

    /// Returns every request so far, without the vault: `POST /archives`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }
}

impl State {
    fn answer(&mut self, request: &FakeRequest) -> FakeAnswer {
        let root = format!("/-/vaults/{}", GlacierFake::VAULT);
        let below = request.path.strip_prefix(&root).map(str::to_owned);
        self.requests.push(format!("{} {}", request.method, below.as_deref().unwrap_or(&request.path)));
        if let Some(planned) = self.planned.pop_front() {
            return planned;
        }
        if let Err(refusal) = check(request) {
            return refusal;
        }
        let Some(below) = below else {
            return refuse(404, "ResourceNotFoundException", "Vault not found for ARN: x");
        };
        let parts: Vec<&str> = below.split('/').skip(1).collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", []) => self.describe(),
            ("POST", ["archives"]) => {
                let description = request.header("x-amz-archive-description").unwrap_or_default().to_owned();
                match request.body.is_empty() {
                    true => refuse(400, "InvalidParameterValueException", "Invalid content length: 0"),
                    false => self.keep(description, request.body.clone()),
                }
            }
            ("DELETE", ["archives", id]) => match self.archives.remove(*id) {
                Some(_) => FakeAnswer::status(204),
                None => refuse(404, "ResourceNotFoundException", "The archive ID was not found: x"),
            },
            ("POST", ["multipart-uploads"]) => self.begin(request),
            ("PUT", ["multipart-uploads", id]) => self.part(id, request),
            ("POST", ["multipart-uploads", id]) => self.complete(id, request),
            ("DELETE", ["multipart-uploads", id]) => {
                self.uploads.remove(*id);
                FakeAnswer::status(204)
            }
            ("POST", ["jobs"]) => self.ask(request),
            ("GET", ["jobs"]) => self.list(request),
            ("GET", ["jobs", id, "output"]) => self.output(id, request),
            _ => refuse(400, "InvalidParameterValueException", "no such call"),
        }
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        // As long as Amazon's.
        format!("{kind}-{:0>width$}", self.made, width = 137 - kind.len())
    }

    fn describe(&self) -> FakeAnswer {
        let date = self.inventory.as_ref().map(|_| "2026-05-10T00:00:00.000Z");
        let count = self.inventory.as_ref().map(BTreeMap::len);
        let said =
            json!({ "VaultName": GlacierFake::VAULT, "LastInventoryDate": date, "NumberOfArchives": count });
        FakeAnswer::status(200).body(said.to_string())
    }

    fn keep(&mut self, description: String, data: Vec<u8>) -> FakeAnswer {
        let id = self.name("archive");
        let answer = FakeAnswer::status(201)
            .header("x-amz-archive-id", id.clone())
            .header("x-amz-sha256-tree-hash", hex(&tree_hash(&data)));
        self.archives.insert(id, Archive { description, data, number: self.made });
        answer
    }

    fn begin(&mut self, request: &FakeRequest) -> FakeAnswer {
        let part: usize = request.header("x-amz-part-size").and_then(|size| size.parse().ok()).unwrap_or(0);
        if part < MIB || !part.is_multiple_of(MIB) || !(part / MIB).is_power_of_two() {
            return refuse(400, "InvalidParameterValueException", "Invalid part size");
        }
        let description = request.header("x-amz-archive-description").unwrap_or_default().to_owned();
        let id = self.name("upload");
        self.uploads.insert(id.clone(), Upload { description, part, data: Vec::new() });
        FakeAnswer::status(201).header("x-amz-multipart-upload-id", id)
    }

    fn part(&mut self, id: &str, request: &FakeRequest) -> FakeAnswer {
        let Some(upload) = self.uploads.get_mut(id) else {
            return refuse(404, "ResourceNotFoundException", "The upload ID was not found: x");
        };
        let (start, length) = (upload.data.len(), request.body.len());
        let range = format!("bytes {start}-{}/*", (start + length).saturating_sub(1));
        if request.header("content-range") != Some(range.as_str())
            || length > upload.part
            || !start.is_multiple_of(upload.part)
        {
            return refuse(400, "InvalidParameterValueException", "Invalid content range");
        }
        upload.data.extend_from_slice(&request.body);
        FakeAnswer::status(204).header("x-amz-sha256-tree-hash", hex(&tree_hash(&request.body)))
    }

    fn complete(&mut self, id: &str, request: &FakeRequest) -> FakeAnswer {
        let Some(upload) = self.uploads.remove(id) else {
            return refuse(404, "ResourceNotFoundException", "The upload ID was not found: x");
        };
        let size = upload.data.len().to_string();
        if request.header("x-amz-archive-size") != Some(size.as_str()) {
            return refuse(400, "InvalidParameterValueException", "Invalid archive size");
        }
        if request.header("x-amz-sha256-tree-hash") != Some(hex(&tree_hash(&upload.data)).as_str()) {
            return refuse(400, "InvalidParameterValueException", "Checksum mismatch: tree hash");
        }
        self.keep(upload.description, upload.data)
    }

    fn ask(&mut self, request: &FakeRequest) -> FakeAnswer {
        let said: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let text = |key: &str| said[key].as_str().map(str::to_owned);
        let archive = match said["Type"].as_str() {
            Some("archive-retrieval") => {
                let archive = text("ArchiveId").unwrap_or_default();
                if !self.archives.contains_key(&archive) {
                    return refuse(404, "ResourceNotFoundException", "The archive ID was not found: x");
                }
                Some(archive)
            }
            Some("inventory-retrieval") if self.inventory.is_some() => None,
            Some("inventory-retrieval") => {
                return refuse(404, "ResourceNotFoundException", "No inventory was made yet");
            }
            _ => return refuse(400, "InvalidParameterValueException", "Invalid type"),
        };
        let id = self.name("job");
        self.jobs.insert(id.clone(), Job { archive, tier: text("Tier"), done: false });
        FakeAnswer::status(202).header("x-amz-job-id", id)
    }

    /// Two jobs are a page.
    fn list(&self, request: &FakeRequest) -> FakeAnswer {
        let from: usize = request.value("marker").and_then(|marker| marker.parse().ok()).unwrap_or(0);
        let page = self.jobs.iter().skip(from).take(2).map(|(id, job)| {
            json!({
                "JobId": id, "Completed": job.done, "ArchiveId": job.archive, "CreationDate": id,
                "Action": if job.archive.is_some() { "ArchiveRetrieval" } else { "InventoryRetrieval" },
                "StatusCode": if job.done { "Succeeded" } else { "InProgress" },
            })
        });
        let page: Vec<Value> = page.collect();
        let marker = (from + page.len() < self.jobs.len()).then(|| (from + page.len()).to_string());
        FakeAnswer::status(200).body(json!({ "JobList": page, "Marker": marker }).to_string())
    }

    fn output(&self, id: &str, request: &FakeRequest) -> FakeAnswer {
        let Some(job) = self.jobs.get(id).filter(|job| job.done) else {
            return refuse(404, "ResourceNotFoundException", "The job ID was not found, or is not done: x");
        };
        let data = match &job.archive {
            Some(archive) => {
                self.archives.get(archive).map(|archive| archive.data.clone()).unwrap_or_default()
            }
            None => self.listed().to_string().into_bytes(),
        };
        let Some(range) = request.header("range") else {
            let hash = hex(&tree_hash(&data));
            let answer = FakeAnswer::status(200).body(data);
            return if job.archive.is_some() {
                answer.header("x-amz-sha256-tree-hash", hash)
            } else {
                answer
            };
        };
        let (start, end) = range.trim_start_matches("bytes=").split_once('-').unwrap_or_default();
        let (start, end): (usize, usize) = (start.parse().unwrap_or(0), end.parse().unwrap_or(usize::MAX));
        if end >= data.len() {
            return refuse(400, "InvalidParameterValueException", "Invalid range");
        }
        FakeAnswer::status(206)
            .header("content-range", format!("bytes {start}-{end}/{}", data.len()))
            .body(&data[start..=end])
    }

    fn listed(&self) -> Value {
        let archives = self.inventory.iter().flatten().map(|(id, archive)| {
            json!({
                "ArchiveId": id, "ArchiveDescription": archive.description, "Size": archive.data.len(),
                "CreationDate": format!("2026-05-09T00:00:{:02}Z-{}", archive.number / 1000, archive.number),
                "SHA256TreeHash": hex(&tree_hash(&archive.data)),
            })
        });
        json!({ "InventoryDate": "2026-05-10T00:00:00Z", "ArchiveList": archives.collect::<Vec<_>>() })
    }
}

/// Refuses what Amazon refuses whatever the call.
fn check(request: &FakeRequest) -> Result<(), FakeAnswer> {
    let signed = request.header("authorization").unwrap_or_default();
    if !signed.contains(&format!("Credential={}/", GlacierFake::KEY))
        || !signed.contains("/glacier/aws4_request")
    {
        return Err(refuse(403, "UnrecognizedClientException", "The security token is not valid"));
    }
    if request.header("x-amz-glacier-version") != Some("2012-06-01") {
        return Err(refuse(400, "MissingParameterValueException", "x-amz-glacier-version"));
    }
    if !signed.contains("x-amz-glacier-version") {
        return Err(refuse(403, "InvalidSignatureException", "x-amz-glacier-version must be signed"));
    }
    let linear = hex(&Sha256::digest(&request.body));
    if request.header("x-amz-content-sha256") != Some(linear.as_str()) {
        return Err(refuse(400, "InvalidParameterValueException", "Content hash mismatch"));
    }
    let described = request.header("x-amz-archive-description").unwrap_or_default();
    if described.len() > 1024 || !described.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(refuse(400, "InvalidParameterValueException", "Invalid description"));
    }
    let carries_bytes = !request.body.is_empty() && !request.path.ends_with("/jobs");
    let tree = hex(&tree_hash(&request.body));
    if carries_bytes && request.header("x-amz-sha256-tree-hash") != Some(tree.as_str()) {
        return Err(refuse(400, "InvalidParameterValueException", "Tree hash mismatch"));
    }
    Ok(())
}

fn refuse(status: u16, code: &str, message: &str) -> FakeAnswer {
    let said = json!({ "code": code, "message": message, "type": "Client" });
    FakeAnswer::status(status).header("content-type", "application/json").body(said.to_string())
}

/// The tree hash as Amazon defines it, from the top: the left half is the largest power of two of MiB below the whole.
fn tree_hash(data: &[u8]) -> Vec<u8> {
    if data.len() <= MIB {
        return Sha256::digest(data).to_vec();
    }
    let mut left = MIB;
    while left * 2 < data.len() {
        left *= 2;
    }
    let (left, right) = data.split_at(left);
    Sha256::new().chain_update(tree_hash(left)).chain_update(tree_hash(right)).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
