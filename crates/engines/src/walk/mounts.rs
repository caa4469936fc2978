//! What is mounted below a tree that a walk does not go into unless told to.
//!
//! A bucket or another host's disk that is mounted below a tree would be read byte by byte over the network, at a price, and
//! may hang. It is left alone, and said to be, for it then has no backup by way of this tree.

use crate::error::EngineError;
use crate::words::plain;
use std::collections::BTreeMap;
use std::path::Path;

/// The option by which a source asks for them: `read` or `leave`.
pub(crate) const CLOUD_MOUNTS: &str = "CloudMounts";

/// Where the kernel says what is mounted, as this process sees it.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Disks of other hosts.
const REMOTE: [&str; 11] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "gpfs", "davfs"];

/// File systems in user space that show what lies on this host's own disks, perhaps in another way. All others may be a
/// bucket or another host.
const LOCAL_FUSE: [&str; 15] = [
    "mergerfs",
    "bindfs",
    "unionfs",
    "unionfs-fuse",
    "overlayfs",
    "fuse-overlayfs",
    "encfs",
    "gocryptfs",
    "cryfs",
    "securefs",
    "ntfs-3g",
    "ntfs",
    "exfat",
    "ext4",
    "zfs-fuse",
];

/// Views into the kernel, which hold nobody's files and never end.
const KERNEL: [&str; 20] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "configfs",
    "pstore",
    "bpf",
    "mqueue",
    "binfmt_misc",
    "autofs",
    "efivarfs",
    "fusectl",
    "rpc_pipefs",
    "selinuxfs",
    "nsfs",
];

/// Why a walk does not go into what is mounted somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// A bucket or another host.
    Remote,
    /// A view into the kernel.
    Kernel,
}

/// What is not gone into, by its path below the root of a walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mounts(BTreeMap<Vec<u8>, (Reason, String)>);

impl Mounts {
    /// Looks at what is mounted below a directory.
    ///
    /// # Errors
    /// The option says something else than it may; the kernel does not say what is mounted.
    pub(super) fn below(root: &Path, option: Option<&str>) -> Result<Self, EngineError> {
        let read_remote = match option {
            None | Some("" | "leave") => false,
            Some("read") => true,
            Some(other) => {
                return Err(EngineError::Failed {
                    action: format!("reading the option {CLOUD_MOUNTS}"),
                    cause: format!("it is '{other}'"),
                    remedy: "write 'read' or 'leave'".to_owned(),
                });
            }
        };
        let told = std::fs::read(MOUNTS).map_err(|error| EngineError::Failed {
            action: format!("reading {MOUNTS}, which says what is mounted below {}", root.display()),
            cause: plain(error),
            remedy: "mount /proc".to_owned(),
        })?;
        // The kernel knows real paths alone.
        let real = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        let mut found = Self::read(&told, std::os::unix::ffi::OsStrExt::as_bytes(real.as_os_str()));
        if read_remote {
            found.0.retain(|_, (reason, _)| *reason != Reason::Remote);
        }
        Ok(found)
    }

    /// Reads what proc_pid_mountinfo(5) describes, and keeps what lies below a directory. What was mounted last at a place
    /// is what is seen there.
    fn read(text: &[u8], root: &[u8]) -> Self {
        let mut found = BTreeMap::new();
        for line in text.split(|byte| *byte == b'\n') {
            let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
            // Before the dash stands a number of words that is not fixed.
            let kind =
                words.iter().skip(6).position(|word| *word == b"-").and_then(|dash| words.get(dash + 7));
            let (Some(path), Some(kind)) = (words.get(4), kind) else { continue };
            let path = unescaped(path);
            let below = if root == b"/" {
                path.strip_prefix(b"/")
            } else {
                path.strip_prefix(root).and_then(|rest| rest.strip_prefix(b"/"))
            };
            let Some(below) = below.filter(|below| !below.is_empty()) else { continue };
            let kind = String::from_utf8_lossy(kind).into_owned();
            match reason(&kind) {
                Some(reason) => found.insert(below.to_vec(), (reason, kind)),
                None => found.remove(below),
            };
        }
        Self(found)
    }

    /// Says why something below the root is not gone into, and what kind of file system it is.
    pub(super) fn at(&self, relative: &[u8]) -> Option<(Reason, &str)> {
        // Most trees have no mounts in them.
        if self.0.is_empty() {
            return None;
        }
        self.0.get(relative).map(|(reason, kind)| (*reason, kind.as_str()))
    }
}

fn reason(kind: &str) -> Option<Reason> {
    if KERNEL.contains(&kind) {
        return Some(Reason::Kernel);
    }
    // `fuseblk` is a disk of this host; `fuse` alone says nothing.
    let is_remote = match kind.strip_prefix("fuse.") {
        Some(own) => !LOCAL_FUSE.contains(&own),
        None => kind == "fuse" || REMOTE.contains(&kind),
    };
    is_remote.then_some(Reason::Remote)
}

/// Undoes `\040`, which stands for a space.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
22 28 0:20 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
23 28 0:21 / /sys rw,relatime shared:7 - sysfs sysfs rw
28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro
90 28 8:3 / /srv/www rw,relatime shared:50 - xfs /dev/sda3 rw
91 90 0:51 / /srv/www/media rw,nosuid,nodev,relatime shared:51 - fuse.s3fs s3fs rw,user_id=0,group_id=0
92 90 0:52 / /srv/www/with\\040space\\134 rw,relatime - fuse.rclone remote:bucket rw
93 90 0:53 / /srv/www/share rw,relatime shared:53 master:2 - nfs4 host:/export rw,vers=4.2
94 90 0:54 / /srv/www/pool rw,relatime - fuse.mergerfs a:b rw
95 90 8:5 / /srv/www/stick rw,relatime - fuseblk /dev/sdb1 rw
96 90 0:55 / /srv/wwwroot rw,relatime - cifs //host/share rw
97 90 0:56 / /srv/www/over rw,relatime - fuse.sshfs me@host: rw
98 97 8:6 / /srv/www/over rw,relatime - ext4 /dev/sdc1 rw
";

    #[test]
    fn buckets_and_other_hosts_below_a_tree_are_known_and_this_hosts_own_disks_are_not_among_them() {
        let mounts = Mounts::read(HOST.as_bytes(), b"/srv/www");
        let found: Vec<(&str, &str)> = mounts
            .0
            .iter()
            .map(|(path, (reason, kind))| {
                assert_eq!(*reason, Reason::Remote);
                (std::str::from_utf8(path).unwrap(), kind.as_str())
            })
            .collect();
        assert_eq!(found, [("media", "fuse.s3fs"), ("share", "nfs4"), ("with space\\", "fuse.rclone")]);
        assert_eq!(mounts.at(b"media"), Some((Reason::Remote, "fuse.s3fs")));
        assert_eq!(mounts.at(b"pool"), None);
        // Whoever names the mount itself asks for it.
        assert_eq!(Mounts::read(HOST.as_bytes(), b"/srv/www/media"), Mounts::default());
    }

    #[test]
    fn views_into_the_kernel_are_known_below_the_root_directory() {
        let mounts = Mounts::read(HOST.as_bytes(), b"/");
        assert_eq!(mounts.at(b"proc"), Some((Reason::Kernel, "proc")));
        assert_eq!(mounts.at(b"sys"), Some((Reason::Kernel, "sysfs")));
        assert_eq!(mounts.at(b"srv/wwwroot"), Some((Reason::Remote, "cifs")));
        assert_eq!(mounts.at(b"srv/www"), None);
    }

    #[test]
    fn this_hosts_own_list_can_be_read_and_nonsense_is_passed_over() {
        let mounts = Mounts::below(Path::new("/"), None).unwrap();
        assert_eq!(mounts.at(b"proc").map(|(reason, _)| reason), Some(Reason::Kernel));
        assert_eq!(Mounts::read(b"one two\n\n1 2 3 4 5 6 7", b"/"), Mounts::default());
        assert!(Mounts::below(Path::new("/"), Some("maybe")).unwrap_err().to_string().contains("'leave'"));
    }
}
