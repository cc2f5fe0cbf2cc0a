//! Whom servers run as: Postgres refuses to run as root.

use anyhow::{Context, Result};
use std::{fs, os::unix::fs::MetadataExt, os::unix::process::CommandExt, path::Path, process::Command};

/// The user that takes root's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub uid: u32,
    pub gid: u32,
}

impl User {
    /// `None` when this process is not root and can run servers itself; else user `postgres`, or `nobody` where there
    /// is none.
    pub fn instead_of_root() -> Result<Option<Self>> {
        let me = fs::metadata("/proc/self").context("reading /proc/self")?.uid();
        if me != 0 {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&passwd, name))
            .map(Some)
            .context("this is root, Postgres refuses to run as root, and /etc/passwd has neither postgres nor nobody")
    }

    /// Makes `command` run as this user, in a folder that every user may be in.
    pub fn take(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid).current_dir("/");
    }

    /// Whether this user can work below `folder` (root's own folders are often closed to others).
    pub fn can_enter(self, folder: &Path) -> bool {
        let mut test = Command::new("test");
        test.arg("-x").arg(folder);
        self.take(&mut test);
        test.status().is_ok_and(|status| status.success())
    }
}

fn find(passwd: &str, name: &str) -> Option<User> {
    let mut fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let found = fields.find(|f| f.len() > 3 && f[0] == name)?;
    Some(User {
        uid: found[2].parse().ok()?,
        gid: found[3].parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passwd_lines() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/:/bin/false\n";
        let nobody = User {
            uid: 65534,
            gid: 65533,
        };
        assert_eq!(find(passwd, "nobody"), Some(nobody));
        assert_eq!(find(passwd, "postgres"), None);
    }
}
