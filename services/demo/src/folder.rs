//! The demo's folder: its own, one demo at a time, and new at every start.

use anyhow::{Context, Result, bail};
use std::{
    fs::{self, File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
};

/// Marks a folder as the demo's own, and is locked while a demo runs in it.
const MARK: &str = "ccm-demo.lock";

/// A folder that belongs to this demo until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes `path`, which is made where missing, and empties it: the simulators remember nothing of an earlier demo, so
    /// its database would only hold a tenant whose AACC is gone. `say` is told if there was something to delete.
    ///
    /// Refuses a folder that holds files and was not made by a demo, and one in which a demo runs.
    pub fn take(path: &Path, say: impl Fn(&str)) -> Result<Self> {
        let shown = path.display();
        fs::create_dir_all(path)
            .with_context(|| format!("making the folder {shown}; name another one with --dir"))?;
        let path = path.canonicalize()?;
        let mark = path.join(MARK);
        if !mark.exists() && fs::read_dir(&path)?.next().is_some() {
            bail!("{shown} holds files that are not the demo's; name another folder with --dir");
        }
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&mark)
            .with_context(|| format!("opening {}; name another folder with --dir", mark.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = fs::read_to_string(&mark).unwrap_or_default();
                bail!(
                    "a demo runs in {shown} already (process {}); end it with Ctrl-C, or name another folder with --dir",
                    owner.trim()
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).context("locking the demo's folder"),
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        empty(&path, &say).with_context(|| {
            format!("emptying {shown}, left by an earlier demo; delete it, or name another with --dir")
        })?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is, absolute.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn empty(path: &Path, say: impl Fn(&str)) -> Result<()> {
    let mut said = false;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() == MARK {
            continue;
        }
        if !std::mem::replace(&mut said, true) {
            say(&format!(
                "deleting what an earlier demo left in {}",
                path.display()
            ));
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path) -> Result<Folder> {
        Folder::take(path, |_| ())
    }

    #[test]
    fn a_folder_is_the_demos_alone_and_new_each_time() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let folder = take(&path).unwrap();
        fs::create_dir(path.join("pg")).unwrap();
        fs::write(path.join("pg/data"), "x").unwrap();
        let refused = take(&path).unwrap_err().to_string();
        assert!(refused.contains(&std::process::id().to_string()), "{refused}");
        assert!(refused.contains("--dir"), "{refused}");
        assert!(path.join("pg/data").exists(), "a running demo loses nothing");
        drop(folder);
        take(&path).unwrap();
        assert!(!path.join("pg").exists());
    }

    #[test]
    fn somebody_elses_folder_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.txt"), "years of work").unwrap();
        let refused = take(root.path()).unwrap_err().to_string();
        assert!(refused.contains("--dir"), "{refused}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
