use alloc::vec::{self, Vec};

/// A small map in order of its keys; without values, a set. It takes as much memory as it has
/// entries, where a leaf of a B-tree has room for eleven.
///
/// A change takes O(n): for what each of very many has one or two of.
///
/// ```
/// use dmvpn_time::Few;
///
/// let mut children: Few<u32> = Few::new();
/// assert_eq!(children.insert(7, ()), None);
/// assert!(children.contains(&7) && children.remove(&7).is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<K, V = ()> {
    entries: Vec<(K, V)>,
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<K: Ord, V> Few<K, V> {
    /// An empty one, without memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn find(&self, key: &K) -> Result<usize, usize> {
        self.entries.binary_search_by(|(other, _)| other.cmp(key))
    }

    /// Takes an entry in, and gives back the value that the key had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => self.entries.get_mut(at).map(|(_, old)| core::mem::replace(old, value)),
            Err(at) => {
                self.entries.reserve_exact(1);
                self.entries.insert(at, (key, value));
                None
            }
        }
    }

    /// Takes an entry out. Nothing is kept for those to come.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(key).ok()?;
        let (_, value) = self.entries.remove(at);
        self.entries.shrink_to_fit();
        Some(value)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(self.find(key).ok()?).map(|(_, value)| value)
    }

    /// Whether the key is there.
    #[must_use]
    pub fn contains(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// The keys, in order.
    #[must_use]
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + '_ {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values, in order of their keys.
    #[must_use]
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + '_ {
        self.entries.iter().map(|(_, value)| value)
    }

    /// How many entries there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K, V> IntoIterator for Few<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    #[test]
    fn it_is_an_ordered_map_that_keeps_no_memory() {
        let mut seed = 1_u32;
        let mut draw = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        let (mut few, mut model) = (Few::new(), BTreeMap::new());
        // An interpreter takes minutes for all of them.
        for value in 0..if cfg!(miri) { 300 } else { 5_000 } {
            let key = draw() % 12;
            if draw() % 2 == 0 {
                assert_eq!(few.insert(key, value), model.insert(key, value));
            } else {
                assert_eq!(few.remove(&key), model.remove(&key));
            }
            assert_eq!(
                (few.get(&key), few.contains(&key)),
                (model.get(&key), model.contains_key(&key))
            );
            assert_eq!((few.len(), few.is_empty()), (model.len(), model.is_empty()));
            assert!(few.keys().eq(model.keys()) && few.values().eq(model.values()));
            assert_eq!(few.entries.capacity(), model.len());
        }
        assert!(few.into_iter().eq(model));
    }
}
