//! What was deleted while a dump ran.
//!
//! The kernel builds the parts of a dump without stopping changes: a part that
//! still names an entry can be queued behind the notification of its removal
//! (measured on Linux 6.18: four times in 100 s of a table being changed and
//! dumped without pause). Believed, the entry would stay until the next dump. So removals are noted while a dump
//! runs, and the dump is not believed where it contradicts them: an entry that
//! really came back has a notification of its own.

use std::collections::BTreeMap;

/// Removals during a dump, by key; several entries may share a key.
#[derive(Debug)]
pub(super) struct DumpGuard<K, V = ()> {
    gone: Option<BTreeMap<K, Vec<V>>>,
}

impl<K: Ord + Clone, V: PartialEq + Clone> DumpGuard<K, V> {
    pub(super) const fn new() -> Self {
        DumpGuard { gone: None }
    }

    /// A dump begins, or begins again.
    pub(super) fn begin(&mut self) {
        self.gone = Some(BTreeMap::new());
    }

    /// No dump runs any more.
    pub(super) fn end(&mut self) {
        self.gone = None;
    }

    /// A notification, or a dump, says that the entry is there: whether to
    /// believe it.
    pub(super) fn there(&mut self, dumped: bool, key: &K, value: &V) -> bool {
        let Some(values) = self.gone.as_mut().and_then(|gone| gone.get_mut(key)) else {
            return true;
        };
        if dumped {
            return !values.contains(value);
        }
        values.retain(|gone| gone != value);
        true
    }

    /// A notification says that the entry is gone, which is always believed.
    pub(super) fn gone(&mut self, key: &K, value: &V) -> bool {
        if let Some(gone) = &mut self.gone {
            gone.entry(key.clone()).or_default().push(value.clone());
        }
        true
    }
}

#[cfg(test)]
mod tests;
