//! Amazon's own client for Python, which judges what lies in a bucket and makes what Larder does not make.

use crate::pypi::from_pypi;
use std::process::{Command, Output};

/// Speaks to one server with one key.
#[derive(Clone, Debug)]
pub struct Boto {
    endpoint: String,
    key: (String, String),
}

impl Boto {
    /// Names a server and a key.
    #[must_use]
    pub fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), key: (access_key.to_owned(), secret_key.to_owned()) }
    }

    /// Runs lines of Python that find the clients `s3` and `glacier` and the module `json`, and returns what they printed; a
    /// line that fails fails the test.
    #[must_use]
    pub fn run(&self, script: &str) -> String {
        let prelude = "import boto3, json, os\nfrom botocore.config import Config\n\
                       def client(name):\n  return boto3.client(name, endpoint_url=os.environ['ENDPOINT'], region_name='us-east-1',\n    \
                       config=Config(s3={'addressing_style': 'path'}))\n\
                       s3 = client('s3')\nglacier = client('glacier')\n";
        let mut command = Command::new(from_pypi("python"));
        command
            .env("ENDPOINT", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", &self.key.0)
            .env("AWS_SECRET_ACCESS_KEY", &self.key.1)
            .args(["-c", &format!("{prelude}{script}")]);
        let Output { status, stdout, stderr } = command.output().expect("Python starts");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "this ended with {status}:\n{script}\n{stdout}{stderr}");
        stdout.trim().to_owned()
    }

    /// Makes a bucket.
    pub fn make_bucket(&self, bucket: &str) {
        let _ = self.run(&format!("s3.create_bucket(Bucket='{bucket}')"));
    }

    /// Makes a bucket whose objects can be locked.
    pub fn make_bucket_with_lock(&self, bucket: &str) {
        let _ = self.run(&format!("s3.create_bucket(Bucket='{bucket}', ObjectLockEnabledForBucket=True)"));
    }

    /// Counts the uploads in parts that were begun and neither finished nor called off.
    #[must_use]
    pub fn unfinished_uploads(&self, bucket: &str) -> usize {
        let count =
            self.run(&format!("print(len(s3.list_multipart_uploads(Bucket='{bucket}').get('Uploads', [])))"));
        count.parse().expect("a number")
    }
}
