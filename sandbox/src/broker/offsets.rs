//! The committed offsets of groups: in memory, and in a file to which each commit appends a line.
//!
//! When most lines are outdated, the file is rewritten with the newest of each. This does not happen at the start, because
//! the disk may be full.

use crate::broker::log::write_whole;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

const FILE: &str = "offsets.jsonl";
/// The number of outdated lines at which the file is rewritten.
const MAX_OUTDATED: usize = 100_000;

/// The commit of one partition.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) metadata: String,
}

/// A group's commits by topic and partition.
pub(super) type GroupOffsets = BTreeMap<(String, i32), Committed>;

pub(super) struct Offsets(Mutex<Journal>);

struct Journal {
    path: PathBuf,
    file: File,
    /// The length up to which the file is complete.
    size: u64,
    lines: usize,
    groups: HashMap<String, GroupOffsets>,
}

#[derive(Deserialize, Serialize)]
struct Line {
    group: String,
    topic: String,
    partition: i32,
    /// `None`: the commit was deleted.
    committed: Option<Committed>,
}

impl Offsets {
    pub(super) fn open(folder: &Path) -> io::Result<Offsets> {
        let path = folder.join(FILE);
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // If the process was killed during a write, the last line is incomplete. It was not acknowledged.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        let size = text.len() as u64;
        file.set_len(size)?;
        let mut groups = HashMap::<String, GroupOffsets>::new();
        let mut lines = 0;
        for line in text.split(|byte| *byte == b'\n') {
            if let Ok(line) = serde_json::from_slice::<Line>(line) {
                take(&mut groups, line);
            }
            lines += 1;
        }
        Ok(Offsets(Mutex::new(Journal { path, file, size, lines, groups })))
    }

    pub(super) fn of(&self, group: &str) -> GroupOffsets {
        self.journal().groups.get(group).cloned().unwrap_or_default()
    }

    /// The groups with commits.
    pub(super) fn groups(&self) -> Vec<String> {
        self.journal().groups.keys().cloned().collect()
    }

    pub(super) fn commit(&self, group: &str, offsets: GroupOffsets) -> io::Result<()> {
        let lines = offsets.into_iter().map(|((topic, partition), committed)| Line {
            group: group.to_owned(),
            topic,
            partition,
            committed: Some(committed),
        });
        self.journal().append(lines.collect())
    }

    /// Deletes the commits for which `is_gone` holds. Its arguments are a group and a topic.
    pub(super) fn forget(&self, is_gone: impl Fn(&str, &str) -> bool) -> io::Result<()> {
        let mut journal = self.journal();
        let mut lines = Vec::new();
        for (group, offsets) in &journal.groups {
            for (topic, partition) in offsets.keys().filter(|(topic, _)| is_gone(group, topic)) {
                let (group, topic) = (group.clone(), topic.clone());
                lines.push(Line { group, topic, partition: *partition, committed: None });
            }
        }
        journal.append(lines)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    fn append(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let text = text(&lines)?;
        if let Err(error) = self.file.write_all(&text) {
            let _ = self.file.set_len(self.size);
            return Err(error);
        }
        self.size += text.len() as u64;
        self.lines += lines.len();
        lines.into_iter().for_each(|line| take(&mut self.groups, line));
        if self.lines > MAX_OUTDATED + self.groups.values().map(BTreeMap::len).sum::<usize>() {
            (self.file, self.size, self.lines) = write_anew(&self.path, &self.groups)?;
        }
        Ok(())
    }
}

fn take(groups: &mut HashMap<String, GroupOffsets>, line: Line) {
    let offsets = groups.entry(line.group.clone()).or_default();
    match line.committed {
        Some(committed) => drop(offsets.insert((line.topic, line.partition), committed)),
        None => drop(offsets.remove(&(line.topic, line.partition))),
    }
    if offsets.is_empty() {
        groups.remove(&line.group);
    }
}

fn text(lines: &[Line]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

fn write_anew(path: &Path, groups: &HashMap<String, GroupOffsets>) -> io::Result<(File, u64, usize)> {
    let mut lines = Vec::new();
    for (group, offsets) in groups {
        for ((topic, partition), committed) in offsets {
            lines.push(Line {
                group: group.clone(),
                topic: topic.clone(),
                partition: *partition,
                committed: Some(committed.clone()),
            });
        }
    }
    let text = text(&lines)?;
    write_whole(path, &text)?;
    Ok((OpenOptions::new().append(true).open(path)?, text.len() as u64, lines.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64) -> GroupOffsets {
        [(("topic".to_owned(), 0), Committed { offset, ..Committed::default() })].into()
    }

    #[test]
    fn what_was_committed_is_there_again_without_a_write() {
        let folder = tempfile::tempdir().unwrap();
        Offsets::open(folder.path()).unwrap().commit("group", committed(1)).unwrap();
        // The file can't be rewritten, as on a full disk.
        std::fs::create_dir(folder.path().join(FILE).with_extension("new")).unwrap();
        let offsets = Offsets::open(folder.path()).unwrap();
        assert_eq!(offsets.of("group"), committed(1));
        offsets.commit("group", committed(2)).unwrap();
        assert_eq!(Offsets::open(folder.path()).unwrap().of("group"), committed(2));
    }

    #[test]
    fn half_a_line_is_cut_off_and_what_follows_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        Offsets::open(folder.path()).unwrap().commit("group", committed(1)).unwrap();
        let path = folder.path().join(FILE);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"group\":\"group\",\"topic\"");
        std::fs::write(&path, torn).unwrap();
        let offsets = Offsets::open(folder.path()).unwrap();
        assert_eq!(offsets.of("group"), committed(1));
        offsets.commit("group", committed(2)).unwrap();
        assert_eq!(Offsets::open(folder.path()).unwrap().of("group"), committed(2));
    }
}
