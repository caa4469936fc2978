//! A private Chromium, driven as a person would.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use larder_testbed::{TempDir, installed};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a page may take to show what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The accessibility checker, where `./test` puts it.
const AXE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/axe/node_modules/axe-core/axe.min.js");

/// Where the pictures go.
pub(crate) const SCREENSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/screenshots");

/// A browser with one window; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) client: Client,
    driver: Child,
    address: String,
    session: String,
    _profile: TempDir,
}

impl Browser {
    /// Starts the browser with an empty profile.
    pub(crate) async fn start() -> Self {
        let program = installed("chromedriver", "chromium-driver");
        let mut driver = Command::new(program)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| {
                line.split_once("successfully on port ")
                    .map(|(_, port)| port.trim_end_matches('.').to_owned())
            })
            .expect("the driver says its port");
        std::thread::spawn(move || lines.for_each(drop));
        let address = format!("http://127.0.0.1:{port}");
        let profile = TempDir::new();
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-first-run".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let wanted = json!({
            "goog:chromeOptions": { "args": arguments, "binary": installed("chromium", "chromium") },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(wanted) = wanted else { unreachable!() };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted)
            .connect(&address)
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        let browser = Self { client, driver, address, session, _profile: profile };
        browser.look(1280, 1000, false).await;
        browser
    }

    /// Asks what only Chromium understands.
    pub(crate) async fn command(&self, path: &str, body: Value) -> Value {
        let url = format!("{}/session/{}/{path}", self.address, self.session);
        let answer = tokio::task::spawn_blocking(move || {
            let text = ureq::post(url)
                .header("Content-Type", "application/json")
                .send(&body.to_string())
                .unwrap()
                .body_mut()
                .read_to_string()
                .unwrap();
            serde_json::from_str::<Value>(&text).unwrap()
        });
        answer.await.unwrap()["value"].clone()
    }

    /// Shows pages as in a window of a size, light or dark.
    pub(crate) async fn look(&self, width: u32, height: u32, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let size = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.command("goog/cdp/execute", size).await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.command("goog/cdp/execute", media).await;
    }

    /// Keeps what is downloaded in a directory.
    pub(crate) async fn keep_downloads_in(&self, directory: &Path) {
        let parameters = json!({ "behavior": "allow", "downloadPath": directory });
        let command = json!({ "cmd": "Browser.setDownloadBehavior", "params": parameters });
        self.command("goog/cdp/execute", command).await;
    }

    /// Goes to an address.
    pub(crate) async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits for an element.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("{css} did not appear: {error}\n{}", self.text().await),
        }
    }

    /// Waits until the page says something.
    pub(crate) async fn says(&self, text: &str) {
        let wanted = text.to_owned();
        let seen = tokio::time::timeout(PATIENCE, async {
            while !self.text().await.contains(&wanted) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        if seen.await.is_err() {
            panic!("the page does not say '{text}', but:\n{}", self.text().await);
        }
    }

    /// Returns what a person reads.
    pub(crate) async fn text(&self) -> String {
        let script = "return document.body ? document.body.innerText : ''";
        self.client.execute(script, vec![]).await.unwrap().as_str().unwrap_or_default().to_owned()
    }

    /// Presses the button or link that says a text.
    pub(crate) async fn press(&self, text: &str) {
        let xpath = format!("//button[normalize-space()='{text}'] | //a[normalize-space()='{text}']");
        let waiting = self.client.wait().at_most(PATIENCE).for_element(Locator::XPath(&xpath)).await;
        let element = match waiting {
            Ok(element) => element,
            Err(error) => panic!("nothing says '{text}': {error}\n{}", self.text().await),
        };
        element.click().await.unwrap();
    }

    /// Fills a field.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Returns what the console said that is an error.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let lines = log.as_array().cloned().unwrap_or_default();
        let bad = lines.iter().filter(|line| line["level"] == "SEVERE");
        bad.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Returns the serious and critical issues that axe-core finds.
    pub(crate) async fn issues(&self) -> Vec<String> {
        let axe = std::fs::read_to_string(AXE).expect("axe-core is installed by ./test");
        self.client.execute(&format!("{axe}; return 1"), vec![]).await.unwrap();
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(found => done(found.violations
                .filter(one => ['serious', 'critical'].includes(one.impact))
                .map(one => one.id + ': ' + one.help + ' ' + one.nodes.map(node => node.html).slice(0, 3).join(' | '))));";
        let found = self.client.execute_async(script, vec![]).await.unwrap();
        found.as_array().unwrap().iter().map(|issue| issue.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Returns by how many pixels the page is wider than its window.
    pub(crate) async fn overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.client.execute(script, vec![]).await.unwrap().as_i64().unwrap()
    }

    /// Takes a picture of the whole page, under a name.
    pub(crate) async fn picture(&self, name: &str) -> PathBuf {
        std::fs::create_dir_all(SCREENSHOTS).unwrap();
        let path = Path::new(SCREENSHOTS).join(format!("{name}.png"));
        std::fs::write(&path, self.client.screenshot().await.unwrap()).unwrap();
        path
    }

    /// Ends the session before the browser goes.
    pub(crate) async fn close(self) {
        let _ = self.client.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A driver that is killed leaves its browser behind; the end of the session does not.
        let _ = ureq::delete(format!("{}/session/{}", self.address, self.session)).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
