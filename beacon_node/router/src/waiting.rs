//! Messages for blocks that are not here yet.

use std::collections::HashMap;
use types::{Root, Slot};

/// Messages that wait at a time.
const MAX_WAITING: usize = 2048;

/// Messages by the block that they wait for.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    by_root: HashMap<Root, Vec<(Slot, T)>>,
    len: usize,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            by_root: HashMap::new(),
            len: 0,
        }
    }
}

impl<T> Waiting<T> {
    /// Keeps a message that came in `slot`. Gives it back if too many wait.
    pub(crate) fn insert(&mut self, root: Root, slot: Slot, message: T) -> Result<(), T> {
        if self.len >= MAX_WAITING {
            return Err(message);
        }
        self.by_root.entry(root).or_default().push((slot, message));
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// The messages of a block that has come.
    pub(crate) fn take(&mut self, root: &Root) -> Vec<T> {
        let messages = self.by_root.remove(root).unwrap_or_default();
        self.len = self.len.saturating_sub(messages.len());
        messages.into_iter().map(|(_, message)| message).collect()
    }

    /// Drops what came before `slot`.
    pub(crate) fn prune(&mut self, slot: Slot) {
        self.by_root.retain(|_, messages| {
            messages.retain(|(came, _)| *came >= slot);
            !messages.is_empty()
        });
        self.len = self.by_root.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_wait_for_their_block_and_not_for_ever() {
        let mut waiting = Waiting::default();
        let (a, b) = (Root::repeat_byte(1), Root::repeat_byte(2));
        for (root, slot, message) in [(a, 5, "a5"), (a, 6, "a6"), (b, 5, "b5")] {
            waiting.insert(root, Slot::new(slot), message).unwrap();
        }
        assert_eq!(waiting.take(&a), ["a5", "a6"]);
        assert_eq!(waiting.take(&a), Vec::<&str>::new());
        waiting.prune(Slot::new(6));
        assert_eq!((waiting.take(&b), waiting.len), (Vec::new(), 0));
    }

    #[test]
    fn what_does_not_fit_is_given_back() {
        let mut waiting = Waiting::default();
        for number in 0..MAX_WAITING {
            waiting.insert(Root::ZERO, Slot::new(1), number).unwrap();
        }
        assert_eq!(waiting.insert(Root::ZERO, Slot::new(1), 0), Err(0));
        waiting.prune(Slot::new(2));
        assert_eq!(waiting.insert(Root::ZERO, Slot::new(2), 0), Ok(()));
    }
}
