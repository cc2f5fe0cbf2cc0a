//! Folders that go away.

use crate::user::User;
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const PREFIX: &str = "ccm-testkit-";

/// A folder below the system's temporary one, deleted when dropped.
///
/// A process that is killed deletes nothing, so the next one that makes a folder sweeps those of dead processes away.
#[derive(Debug)]
pub struct TempFolder(TempDir);

impl TempFolder {
    /// Makes a new, empty folder. Servers that run as another user can reach what they own in it.
    pub fn new() -> Result<Self> {
        Self::below(std::env::temp_dir())
    }

    /// As [`Self::new`], below another folder.
    pub fn below(mut root: PathBuf) -> Result<Self> {
        if User::instead_of_root()?.is_some_and(|user| !user.can_enter(&root)) {
            root = "/tmp".into();
        }
        sweep(&root);
        let dir = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .tempdir_in(&root)
            .with_context(|| format!("making a folder in {}; is it full or closed?", root.display()))?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711))?;
        Ok(Self(dir))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves the folder for a person to look at (until a later process sweeps it) and says where it is.
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }
}

fn sweep(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|n| n.strip_prefix(PREFIX))
            .and_then(|n| n.split('-').next());
        if owner.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
            // Somebody else's folder cannot be deleted and is theirs to sweep.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_dead_processes_are_swept_and_others_stay() {
        let root = tempfile::tempdir().unwrap();
        // Linux' process ids end at 4194304.
        let dead = root.path().join("ccm-testkit-9999999-abc");
        let alive = root
            .path()
            .join(format!("ccm-testkit-{}-abc", std::process::id()));
        let foreign = root.path().join("ccm-testkit-notes");
        for folder in [&dead, &alive, &foreign] {
            fs::create_dir(folder).unwrap();
        }
        sweep(root.path());
        assert!(!dead.exists() && alive.exists() && foreign.exists());
    }
}
