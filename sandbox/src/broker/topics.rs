//! All topics: a folder for each, with a file of settings and a folder for each partition.
//!
//! A new topic is built, and a deleted one removed, in a separate folder. A rename in between makes both atomic.

use crate::broker::{
    log::{Partition, settings::Settings, write_whole},
    now_ms,
};
use anyhow::Context as _;
use kafka_protocol::ResponseError;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use uuid::Uuid;

const TOPICS: &str = "topics";
/// The folder for topics that are being built or removed.
const ASIDE: &str = "aside";
const TOPIC_FILE: &str = "topic.json";
/// Each partition keeps a file open, and a process may open some 1,000.
const MAX_PARTITIONS: i32 = 100;
const MAX_NAME: usize = 249;

pub(super) struct Topics {
    folder: PathBuf,
    topics: RwLock<BTreeMap<String, Arc<Topic>>>,
}

pub(super) struct Topic {
    pub(super) id: Uuid,
    folder: PathBuf,
    settings: RwLock<Arc<Settings>>,
    partitions: RwLock<Vec<Arc<Partition>>>,
}

#[derive(Deserialize, Serialize)]
struct Stored {
    id: Uuid,
    settings: BTreeMap<String, String>,
}

/// Why a topic can't be created or changed: Kafka's error, and a text for people.
pub(super) type Refusal = (ResponseError, String);

impl Topics {
    pub(super) fn open(folder: &Path) -> anyhow::Result<Topics> {
        let aside = folder.join(ASIDE);
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::create_dir_all(folder.join(TOPICS))?;
        let mut topics = BTreeMap::new();
        for entry in fs::read_dir(folder.join(TOPICS))? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            let topic = Topic::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
            topics.insert(name.to_string_lossy().into_owned(), Arc::new(topic));
        }
        Ok(Topics { folder: folder.to_owned(), topics: RwLock::new(topics) })
    }

    /// All topics, by name.
    pub(super) fn all(&self) -> Vec<(String, Arc<Topic>)> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.iter().map(|(name, topic)| (name.clone(), topic.clone())).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn partition(
        &self,
        topic: &str,
        index: i32,
    ) -> Result<(Arc<Settings>, Arc<Partition>), ResponseError> {
        let topic = self.get(topic).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let partition = usize::try_from(index).ok().and_then(|index| topic.partitions().get(index).cloned());
        Ok((topic.settings(), partition.ok_or(ResponseError::UnknownTopicOrPartition)?))
    }

    /// Creates a topic; with `only_check` it only says whether it could.
    pub(super) fn create(
        &self,
        name: &str,
        partitions: i32,
        settings: HashMap<String, String>,
        only_check: bool,
    ) -> Result<Uuid, Refusal> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty()
            || [".", ".."].contains(&name)
            || name.len() > MAX_NAME
            || !name.bytes().all(is_allowed)
        {
            let expected = "a topic's name has up to 249 letters, digits, periods, underscores and hyphens";
            return Err((ResponseError::InvalidTopicException, expected.to_owned()));
        }
        check_count(partitions)?;
        let settings = Settings::parse(settings.into_iter().collect())
            .map_err(|reason| (ResponseError::InvalidConfig, reason))?;
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.contains_key(name) {
            return Err((ResponseError::TopicAlreadyExists, format!("topic {name} exists already")));
        }
        let id = Uuid::new_v4();
        if !only_check {
            let make = || {
                let (aside, folder) = (self.aside(), self.folder.join(TOPICS).join(name));
                for index in 0..partitions {
                    fs::create_dir_all(aside.join(index.to_string()))?;
                }
                store(&aside, id, &settings)?;
                fs::rename(aside, &folder)?;
                Topic::open(&folder)
            };
            topics.insert(name.to_owned(), Arc::new(make().map_err(storage_error)?));
        }
        Ok(id)
    }

    pub(super) fn delete(&self, name: &str) -> Result<Uuid, Refusal> {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let Some(topic) = topics.get(name) else {
            return Err((ResponseError::UnknownTopicOrPartition, format!("there is no topic {name}")));
        };
        let aside = self.aside();
        let moved =
            fs::create_dir_all(self.folder.join(ASIDE)).and_then(|()| fs::rename(&topic.folder, &aside));
        moved.map_err(|error| storage_error(error.into()))?;
        let id = topic.id;
        topic.partitions().iter().for_each(|partition| partition.log().close());
        topics.remove(name);
        if let Err(error) = fs::remove_dir_all(&aside) {
            log::warn!("{} remains until the next start: {error}", aside.display());
        }
        Ok(id)
    }

    fn aside(&self) -> PathBuf {
        self.folder.join(ASIDE).join(Uuid::new_v4().to_string())
    }
}

impl Topic {
    fn open(folder: &Path) -> anyhow::Result<Topic> {
        let stored: Stored = serde_json::from_slice(&fs::read(folder.join(TOPIC_FILE))?)?;
        let settings = Settings::parse(stored.settings).map_err(anyhow::Error::msg)?;
        let mut partitions = Vec::new();
        while let index = folder.join(partitions.len().to_string())
            && index.exists()
        {
            partitions.push(Arc::new(Partition::open(index, now_ms())?));
        }
        Ok(Topic {
            id: stored.id,
            folder: folder.to_owned(),
            settings: RwLock::new(Arc::new(settings)),
            partitions: RwLock::new(partitions),
        })
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds partitions up to `count`; with `only_check` it only says whether it could.
    pub(super) fn grow(&self, count: i32, only_check: bool) -> Result<(), Refusal> {
        check_count(count)?;
        let mut partitions = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
        let count = usize::try_from(count).unwrap_or(0);
        if count <= partitions.len() {
            let reason =
                format!("it has {} partitions already; their number can only grow", partitions.len());
            return Err((ResponseError::InvalidPartitions, reason));
        }
        while !only_check && partitions.len() < count {
            let folder = self.folder.join(partitions.len().to_string());
            let partition = Partition::open(folder, now_ms()).map_err(|error| storage_error(error.into()))?;
            partitions.push(Arc::new(partition));
        }
        Ok(())
    }

    /// Sets the settings that have a value and resets the others; with `only_check` it only says whether it could.
    pub(super) fn alter(
        &self,
        changes: impl IntoIterator<Item = (String, Option<String>)>,
        only_check: bool,
    ) -> Result<(), Refusal> {
        let mut current = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let mut given = current.given().clone();
        for (name, value) in changes {
            match value {
                Some(value) => given.insert(name, value),
                None => given.remove(&name),
            };
        }
        let changed = Settings::parse(given).map_err(|reason| (ResponseError::InvalidConfig, reason))?;
        if !only_check {
            store(&self.folder, self.id, &changed).map_err(storage_error)?;
            *current = Arc::new(changed);
        }
        Ok(())
    }
}

fn check_count(partitions: i32) -> Result<(), Refusal> {
    match partitions {
        1..=MAX_PARTITIONS => Ok(()),
        _ => Err((
            ResponseError::InvalidPartitions,
            format!("a topic has 1 to {MAX_PARTITIONS} partitions here"),
        )),
    }
}

fn store(folder: &Path, id: Uuid, settings: &Settings) -> anyhow::Result<()> {
    let stored = serde_json::to_vec_pretty(&Stored { id, settings: settings.given().clone() })?;
    Ok(write_whole(&folder.join(TOPIC_FILE), &stored)?)
}

fn storage_error(error: anyhow::Error) -> Refusal {
    log::error!("the broker can't change its topics on disk: {error:#}");
    let is_full = error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::StorageFull);
    let reason =
        if is_full { "the disk is full" } else { "the broker can't write to its folder; its log says why" };
    (ResponseError::KafkaStorageError, reason.to_owned())
}
