//! Ceph's S3 server: signatures, payload hashes, preconditions, versions and object lock, as strict as Amazon's.
//!
//! One monitor, one disk in memory and one gateway. They take some ten seconds to start, so tests share one as far as they can.

use crate::boto::Boto;
use crate::network::free_port;
use crate::program::installed;
use crate::server::wait_until;
use crate::temporary::TempDir;
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// How long each of the servers may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
/// Some of the ports may be taken between finding and using them.
const STARTS: usize = 3;
/// The user that there is from the start.
const KEY: (&str, &str) = ("AKTEST", "SKTEST1234");
/// Classes besides the standard one. To this server they are no more than names.
const CLASSES: [&str; 3] = ["STANDARD_IA", "GLACIER", "DEEP_ARCHIVE"];
const FSID: &str = "6f1d9f0e-8f4b-4d4e-9a53-0c1d6c0a7b11";

/// A running gateway with all that it needs.
#[derive(Debug)]
pub struct RadosGw {
    directory: TempDir,
    port: u16,
    /// The gateway first: they are ended in this order.
    servers: Vec<Child>,
}

impl RadosGw {
    /// Starts one.
    #[must_use]
    pub fn start() -> Self {
        for start in 1..=STARTS {
            match Self::attempt() {
                Ok(gateway) => return gateway,
                Err(why) => assert!(start < STARTS, "the gateway did not start: {why}"),
            }
        }
        unreachable!("the last start either returns or fails the test")
    }

    fn attempt() -> Result<Self, String> {
        let directory = TempDir::new();
        let (monitor_port, port) = (free_port(), free_port());
        for folder in ["run", "mon", "osd"] {
            fs::create_dir(directory.join(folder)).map_err(|error| error.to_string())?;
        }
        fs::write(directory.join("ceph.conf"), configuration(&directory, monitor_port, port))
            .map_err(|error| error.to_string())?;
        let mut this = Self { directory, port, servers: Vec::new() };
        this.make_cluster(monitor_port)?;
        this.serve("radosgw", &["-n", "client.rgw", "-f"], "radosgw")?;
        this.wait_for_gateway()?;
        let user = [
            "user",
            "create",
            "--uid=larder",
            "--display-name=larder",
            "--access-key",
            KEY.0,
            "--secret-key",
            KEY.1,
        ];
        this.run("radosgw-admin", "radosgw", &user)?;
        for class in CLASSES {
            let placement =
                ["placement", "add", "--placement-id", "default-placement", "--storage-class", class];
            this.run(
                "radosgw-admin",
                "radosgw",
                &[&["zonegroup"], &placement[..], &["--rgw-zonegroup", "default"]].concat(),
            )?;
            let pool = ["--rgw-zone", "default", "--data-pool", "default.rgw.cold.data"];
            this.run("radosgw-admin", "radosgw", &[&["zone"], &placement[..], &pool].concat())?;
        }
        this.restart()?;
        Ok(this)
    }

    fn make_cluster(&mut self, monitor_port: u16) -> Result<(), String> {
        let caps = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"];
        let keyring = ["keyring", "--gen-key", "-n"];
        self.run(
            "ceph-authtool",
            "ceph-common",
            &[&["--create-keyring"], &keyring[..], &["mon."], &caps[..3]].concat(),
        )?;
        self.run("ceph-authtool", "ceph-common", &[&keyring[..], &["client.admin"], &caps[..]].concat())?;
        let monitor = format!("[v1:127.0.0.1:{monitor_port}]");
        self.run(
            "monmaptool",
            "ceph-base",
            &["--create", "--fsid", FSID, "--addv", "a", &monitor, "monmap"],
        )?;
        self.run(
            "ceph-mon",
            "ceph-mon",
            &["--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring"],
        )?;
        self.serve("ceph-mon", &["-i", "a", "-f"], "ceph-mon")?;
        self.run("ceph", "ceph-common", &["osd", "new", "9f0d7c52-2a64-4d7e-8b7a-2f5f3f0b9d10"])?;
        self.run(
            "ceph-osd",
            "ceph-osd",
            &["-i", "0", "--mkfs", "--osd-uuid", "9f0d7c52-2a64-4d7e-8b7a-2f5f3f0b9d10"],
        )?;
        self.serve("ceph-osd", &["-i", "0", "-f"], "ceph-osd")?;
        self.run("ceph", "ceph-common", &["osd", "crush", "add", "osd.0", "1.0", "root=default", "host=h"])?;
        wait_until("a disk that is up", PATIENCE, || {
            self.run("ceph", "ceph-common", &["osd", "stat"]).ok().filter(|said| said.contains("1 up"))
        });
        Ok(())
    }

    fn command(&self, program: &str, package: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(installed(program, package));
        command
            .current_dir(self.directory.path())
            .env("CEPH_CONF", self.directory.join("ceph.conf"))
            .args(arguments);
        command
    }

    fn run(&self, program: &str, package: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.command(program, package, arguments);
        let Output { status, stdout, stderr } = command.output().map_err(|error| error.to_string())?;
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if status.success() {
            Ok(stdout.into_owned())
        } else {
            Err(format!("{command:?} ended with {status}: {stdout}{stderr}"))
        }
    }

    fn serve(&mut self, program: &str, arguments: &[&str], package: &str) -> Result<(), String> {
        let log = || File::create(self.directory.join(format!("{program}.out")));
        let (out, err) =
            log().and_then(|out| Ok((out.try_clone()?, out))).map_err(|error| error.to_string())?;
        let mut command = self.command(program, package, arguments);
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        self.servers.insert(0, command.spawn().map_err(|error| error.to_string())?);
        Ok(())
    }

    fn wait_for_gateway(&mut self) -> Result<(), String> {
        let port = self.port;
        let gateway = self.servers.first_mut().expect("a gateway was started");
        let outcome = wait_until("a gateway that listens", PATIENCE, || {
            if gateway.try_wait().is_ok_and(|ended| ended.is_some()) {
                return Some(Err("the gateway ended".to_owned()));
            }
            TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(Ok(()))
        });
        outcome.map_err(|why| {
            let said = fs::read_to_string(self.directory.join("radosgw.out")).unwrap_or_default();
            format!("{why}: {said}")
        })
    }

    fn restart(&mut self) -> Result<(), String> {
        let mut gateway = self.servers.remove(0);
        end(&mut gateway);
        self.serve("radosgw", &["-n", "client.rgw", "-f"], "radosgw")?;
        self.wait_for_gateway()
    }

    /// Makes a user who has no rights in the buckets of others, and returns the key.
    #[must_use]
    pub fn make_stranger(&self) -> (&'static str, &'static str) {
        let key = ("AKSTRANGER", "SKSTRANGER1234");
        let user = [
            "user",
            "create",
            "--uid=stranger",
            "--display-name=x",
            "--access-key",
            key.0,
            "--secret-key",
            key.1,
        ];
        self.run("radosgw-admin", "radosgw", &user).expect("a second user");
        key
    }

    /// Returns its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the two halves of the user's key.
    #[must_use]
    pub const fn key(&self) -> (&'static str, &'static str) {
        KEY
    }

    /// Returns Amazon's own client for it.
    #[must_use]
    pub fn boto(&self) -> Boto {
        Boto::new(&self.url(), KEY.0, KEY.1)
    }
}

impl Drop for RadosGw {
    fn drop(&mut self) {
        self.servers.iter_mut().for_each(end);
    }
}

fn end(server: &mut Child) {
    let _ = server.kill();
    let _ = server.wait();
}

/// What is deleted is given up at once: it stays for two hours otherwise, and a disk that is full leaves writers without an answer.
fn configuration(directory: &TempDir, monitor_port: u16, port: u16) -> String {
    let path = directory.path().display();
    format!(
        "[global]
fsid={FSID}
mon_initial_members=a
mon_host=[v1:127.0.0.1:{monitor_port}]
public_addr=127.0.0.1
ms_bind_ipv4=true
ms_bind_msgr2=false
auth_cluster_required=none
auth_service_required=none
auth_client_required=none
osd_pool_default_size=1
osd_pool_default_min_size=1
mon_allow_pool_size_one=true
osd_pool_default_pg_num=1
osd_pool_default_pgp_num=1
osd_pool_default_pg_autoscale_mode=off
osd_crush_chooseleaf_type=0
osd_class_update_on_start=false
osd_crush_update_on_start=false
mon_warn_on_pool_no_redundancy=false
osd_objectstore=memstore
memstore_device_bytes=8589934592
osd_max_object_name_len=460
run_dir={path}/run
admin_socket={path}/run/$name.$pid.asok
log_file={path}/$name.log
pid_file={path}/$name.pid
mon_data={path}/mon
osd_data={path}/osd
keyring={path}/keyring
mon_osd_full_ratio=.99
mon_data_avail_warn=1
mon_data_avail_crit=1
[client.rgw]
rgw_data={path}/rgw
rgw_frontends=beast endpoint=127.0.0.1:{port}
rgw_enable_apis=s3,sts,iam,admin
rgw_crypt_require_ssl=false
rgw_gc_obj_min_wait=1
rgw_gc_processor_period=1
rgw_gc_processor_max_time=1
"
    )
}
