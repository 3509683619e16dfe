//! The data of earlier runs: the broker's records, and the secrets behind ids and codes.

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{TryRng, rngs::SysRng};
use std::{
    collections::HashMap,
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const SECRETS: &str = "secrets.env";
const BROKER: &str = "broker";

/// Moves a data folder to the first free name beside it (`data-1` and so on) and returns that name; `None` if there is no
/// such folder.
///
/// # Errors
/// A running system uses the folder, or it can't be moved.
pub fn move_aside(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    if !folder.exists() {
        return Ok(None);
    }
    refuse_in_use(folder)?;
    let named = |number| {
        folder.with_file_name(format!("{}-{number}", folder.file_name().unwrap_or_default().display()))
    };
    let aside = (1..=u32::MAX).map(named).find(|name| !name.exists()).context("every name is taken")?;
    fs::rename(folder, &aside)
        .with_context(|| format!("can't move {} to {}", folder.display(), aside.display()))?;
    Ok(Some(aside))
}

/// The folder of all data.
pub(crate) struct DataFolder(PathBuf);

impl DataFolder {
    /// Opens the folder; a new one gets fresh secrets.
    ///
    /// # Errors
    /// It can't be read or written, or a running system uses it. This is checked before the ports, which that system would
    /// have taken, too.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        refuse_in_use(path)?;
        fs::create_dir_all(path).with_context(|| format!("can't make the data folder {}", path.display()))?;
        let folder = Self(path.to_owned());
        if !folder.secrets_file().exists() {
            folder.make_secrets()?;
        }
        Ok(folder)
    }

    /// The folder of the broker's records.
    pub(crate) fn broker(&self) -> PathBuf {
        self.0.join(BROKER)
    }

    /// The variables `CODE_SECRETS` and `ID_SECRET` of this folder.
    pub(crate) fn secrets(&self) -> anyhow::Result<HashMap<String, String>> {
        let file = self.secrets_file();
        let text = fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn secrets_file(&self) -> PathBuf {
        self.0.join(SECRETS)
    }

    /// Writes fresh secrets that only their owner can read. They get another name first, so that no file is ever half
    /// written.
    fn make_secrets(&self) -> anyhow::Result<()> {
        let text = format!("CODE_SECRETS=k1:{}\nID_SECRET={}\n", random_secret()?, random_secret()?);
        let unfinished = self.0.join("secrets.env.new");
        let write = || {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, self.secrets_file())
        };
        write().with_context(|| format!("can't write {}", self.secrets_file().display()))
    }
}

fn refuse_in_use(folder: &Path) -> anyhow::Result<()> {
    if sandbox::broker::is_in_use(&folder.join(BROKER)) {
        bail!("{} is in use: stop the system that runs on it first", folder.display());
    }
    Ok(())
}

fn random_secret() -> anyhow::Result<String> {
    let mut secret = [0; contract::code_secrets::SECRET_OCTETS];
    SysRng.try_fill_bytes(&mut secret).context("the operating system gives no random numbers")?;
    Ok(STANDARD.encode(secret))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::broker::{Broker, Storage};

    #[tokio::test]
    async fn a_folder_is_moved_aside_as_a_whole_and_not_while_it_is_in_use() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        assert_eq!(move_aside(&data).unwrap(), None);
        for number in 1..=2 {
            let secrets = DataFolder::open(&data).unwrap().secrets().unwrap();
            let broker = Broker::start(Storage::Directory(data.join(BROKER)), 0).await.unwrap();
            assert!(move_aside(&data).unwrap_err().to_string().contains("is in use"));
            let opened = DataFolder::open(&data).err().map(|error| error.to_string());
            assert!(opened.is_some_and(|error| error.contains("is in use")));
            broker.stop().await;
            let aside = parent.path().join(format!("data-{number}"));
            assert_eq!(move_aside(&data).unwrap(), Some(aside.clone()));
            assert!(!data.exists());
            assert_eq!(DataFolder::open(&aside).unwrap().secrets().unwrap(), secrets);
        }
    }

    #[test]
    fn secrets_are_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::open(folder.path()).unwrap().secrets().unwrap();
        assert_eq!(first.len(), 2);
        assert!(contract::code_secrets::CodeSecrets::parse(&first["CODE_SECRETS"]).is_ok());
        assert_eq!(DataFolder::open(folder.path()).unwrap().secrets().unwrap(), first);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(DataFolder::open(other.path()).unwrap().secrets().unwrap(), first);
    }
}
