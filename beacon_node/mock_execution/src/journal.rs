//! What the toy chain needs to know again after its process was killed.
//!
//! One file of JSON lines, only ever appended to: the genesis hash, then one line per valid block
//! and one per forkchoice. A line is written before the answer that depends on it is given. It is not
//! synced to the disk: that keeps it through `kill -9`, not through a power failure, which is what a
//! devnet needs. A torn last line is dropped. From time to time the file is replaced by a
//! shorter one with only the blocks that are still kept.

use crate::chain::Block;
use crate::wire::Forkchoice;
use alloy_primitives::B256;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "mock_execution.jsonl";
const LOCK: &str = "mock_execution.lock";

/// The journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another process has the folder.
    #[error("{path} is locked: another mock execution node uses this folder")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The journal is of another chain.
    #[error(
        "{path} belongs to the chain with genesis {found}, but this node was started for {expected}; \
         use another folder, or remove the file"
    )]
    OtherChain {
        /// The journal.
        path: PathBuf,
        /// Genesis that the node was started with.
        expected: B256,
        /// Genesis in the file.
        found: B256,
    },
    /// A line other than the last one is damaged.
    #[error("{path}, line {line}: {source}; the file is left as it is")]
    Corrupt {
        /// The journal.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Where reading stopped.
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry {
    Genesis(B256),
    Block(Box<Block>),
    Forkchoice(Forkchoice),
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    genesis: B256,
    lines: usize,
    /// Held, not read: its lock ends with this value.
    _lock: File,
}

/// What a journal knew.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// In the order of their import: a parent comes before its children.
    pub(crate) blocks: Vec<Block>,
    pub(crate) forkchoice: Option<Forkchoice>,
}

impl Journal {
    pub(crate) fn open(folder: &Path, genesis: B256) -> Result<(Self, Recovered), JournalError> {
        let at = |path: &Path| {
            let path = path.to_path_buf();
            move |source| JournalError::Io { path, source }
        };
        fs::create_dir_all(folder).map_err(at(folder))?;
        let lock_path = folder.join(LOCK);
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        if let Err(error) = lock.try_lock() {
            return Err(match error {
                fs::TryLockError::WouldBlock => JournalError::Locked { path: lock_path },
                fs::TryLockError::Error(source) => JournalError::Io {
                    path: lock_path,
                    source,
                },
            });
        }

        let path = folder.join(FILE);
        let mut recovered = Recovered::default();
        let mut lines = 0usize;
        let mut whole = 0u64;
        if path.exists() {
            let mut reader = BufReader::new(File::open(&path).map_err(at(&path))?);
            let mut text = Vec::new();
            loop {
                text.clear();
                let read = reader.read_until(b'\n', &mut text).map_err(at(&path))?;
                if read == 0 || text.last() != Some(&b'\n') {
                    break;
                }
                lines = lines.saturating_add(1);
                let entry = serde_json::from_slice(&text).map_err(|source| JournalError::Corrupt {
                    path: path.clone(),
                    line: lines,
                    source,
                })?;
                match entry {
                    Entry::Genesis(found) if found != genesis => {
                        return Err(JournalError::OtherChain {
                            path,
                            expected: genesis,
                            found,
                        });
                    }
                    Entry::Genesis(_) => {}
                    Entry::Block(block) => recovered.blocks.push(*block),
                    Entry::Forkchoice(forkchoice) => recovered.forkchoice = Some(forkchoice),
                }
                whole = whole.saturating_add(read as u64);
            }
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(at(&path))?;
        file.set_len(whole).map_err(at(&path))?;
        let mut journal = Self {
            path,
            file,
            genesis,
            lines,
            _lock: lock,
        };
        if lines == 0 {
            journal.append(&Entry::Genesis(genesis))?;
        }
        Ok((journal, recovered))
    }

    pub(crate) fn append_block(&mut self, block: &Block) -> Result<(), JournalError> {
        self.append(&Entry::Block(Box::new(block.clone())))
    }

    pub(crate) fn append_forkchoice(&mut self, forkchoice: Forkchoice) -> Result<(), JournalError> {
        self.append(&Entry::Forkchoice(forkchoice))
    }

    /// How many entries the file has.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Replaces the file by one with only these blocks.
    pub(crate) fn rewrite<'a>(
        &mut self,
        blocks: impl Iterator<Item = &'a Block>,
        forkchoice: Forkchoice,
    ) -> Result<(), JournalError> {
        let next = self.path.with_extension("jsonl.next");
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| JournalError::Io { path, source }
        };
        let mut text = Vec::new();
        let mut lines = 0usize;
        let entries = std::iter::once(Entry::Genesis(self.genesis))
            .chain(blocks.map(|block| Entry::Block(Box::new(block.clone()))))
            .chain(std::iter::once(Entry::Forkchoice(forkchoice)));
        for entry in entries {
            encode(&entry, &mut text).map_err(io(&next))?;
            lines = lines.saturating_add(1);
        }
        fs::write(&next, &text).map_err(io(&next))?;
        fs::rename(&next, &self.path).map_err(io(&self.path))?;
        self.file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .map_err(io(&self.path))?;
        self.lines = lines;
        Ok(())
    }

    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let mut text = Vec::with_capacity(1024);
        // One write call per line: a kill between two lines leaves whole lines.
        encode(entry, &mut text)
            .and_then(|()| self.file.write_all(&text))
            .map_err(|source| JournalError::Io {
                path: self.path.clone(),
                source,
            })?;
        self.lines = self.lines.saturating_add(1);
        Ok(())
    }
}

fn encode(entry: &Entry, text: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *text, entry)?;
    text.push(b'\n');
    Ok(())
}
