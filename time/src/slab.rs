use alloc::vec::Vec;

/// Bits of a key that say where its value is. What is left counts how often that place was used.
const PLACE_BITS: u32 = 40;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;
const LAST_USE: u32 = (1 << (u64::BITS - PLACE_BITS)) - 1;

/// A table that gives out its keys itself, so that a look-up is one access and no search.
///
/// A key is never given out twice: of one whose value was removed nothing is found, although its place
/// is used again. The first keys are 0, 1, 2 …; the same calls give the same keys. Places are
/// not given back to the allocator, so values that are not small belong into boxes.
///
/// ```
/// use dmvpn_time::Slab;
///
/// let mut peers = Slab::new();
/// let (hub, spoke) = (peers.insert("hub"), peers.insert("spoke"));
/// assert_eq!(peers.get(spoke), Some(&"spoke"));
/// peers.remove(hub);
/// let other = peers.insert("other");
/// assert_eq!((peers.get(hub), peers.get(other)), (None, Some(&"other")));
/// ```
#[derive(Clone, Debug)]
pub struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<usize>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Place<T> {
    /// How many values it has had before this one.
    uses: u32,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slab<T> {
    /// An empty table, without memory until there is a value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a value in; its key.
    pub fn insert(&mut self, value: T) -> u64 {
        let at = self.free.pop().unwrap_or(self.places.len());
        self.len = self.len.saturating_add(1);
        match self.places.get_mut(at) {
            Some(place) => {
                place.value = Some(value);
                key(at, place.uses)
            }
            None => {
                self.places.push(Place { uses: 0, value: Some(value) });
                key(at, 0)
            }
        }
    }

    /// The value with this key.
    #[must_use]
    pub fn get(&self, key: u64) -> Option<&T> {
        let (at, uses) = place(key)?;
        self.places.get(at).filter(|place| place.uses == uses)?.value.as_ref()
    }

    /// The value with this key, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let (at, uses) = place(key)?;
        self.places.get_mut(at).filter(|place| place.uses == uses)?.value.as_mut()
    }

    /// Whether there is a value with this key.
    #[must_use]
    pub fn contains(&self, key: u64) -> bool {
        self.get(key).is_some()
    }

    /// Takes the value with this key out. From now on nothing has the key.
    pub fn remove(&mut self, key: u64) -> Option<T> {
        let (at, uses) = place(key)?;
        let place = self.places.get_mut(at).filter(|place| place.uses == uses)?;
        let value = place.value.take()?;
        self.len = self.len.saturating_sub(1);
        // A place whose keys are used up stays empty.
        if place.uses < LAST_USE {
            place.uses = place.uses.saturating_add(1);
            self.free.push(at);
        }
        Some(value)
    }

    /// The values with their keys, in an order that only the calls before determine.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> + '_ {
        let places = self.places.iter().enumerate();
        places.filter_map(|(at, place)| Some((key(at, place.uses), place.value.as_ref()?)))
    }

    /// As [`iter`](Self::iter), the values to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut T)> + '_ {
        let places = self.places.iter_mut().enumerate();
        places.filter_map(|(at, place)| Some((key(at, place.uses), place.value.as_mut()?)))
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// There is no memory for more than 2^40 places.
fn key(at: usize, uses: u32) -> u64 {
    u64::from(uses) << PLACE_BITS | u64::try_from(at).unwrap_or(PLACE_MASK)
}

fn place(key: u64) -> Option<(usize, u32)> {
    let at = usize::try_from(key & PLACE_MASK).ok()?;
    Some((at, u32::try_from(key >> PLACE_BITS).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::{BTreeMap, BTreeSet};

    /// Beside an ordered map that numbers its values.
    #[test]
    fn it_is_a_map_whose_keys_are_never_given_out_twice() {
        let mut seed = 1_u32;
        let mut draw = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        let (mut slab, mut model, mut gone) = (Slab::new(), BTreeMap::new(), BTreeSet::new());
        // An interpreter takes minutes for all of them.
        let rounds = if cfg!(miri) { 1_000 } else { 20_000 };
        for value in 0..rounds {
            // It grows to some hundred values, and shrinks to few again.
            let inserts = if value / (rounds / 20) % 2 == 0 { 3 } else { 1 };
            if draw() % 4 < inserts {
                let key = slab.insert(value);
                assert_eq!(model.insert(key, value), None);
                assert!(!gone.contains(&key));
            } else if let Some(key) =
                model.keys().nth(usize::try_from(draw()).unwrap() % model.len().max(1)).copied()
            {
                *slab.get_mut(key).unwrap() += 1;
                assert_eq!(slab.remove(key), model.remove(&key).map(|value| value + 1));
                gone.insert(key);
            }
            assert_eq!((slab.len(), slab.is_empty()), (model.len(), model.is_empty()));
        }
        assert!(
            gone.len() > rounds / 4 && slab.places.len() < rounds / 10,
            "places are used again"
        );
        assert_eq!(
            slab.iter().map(|(key, value)| (key, *value)).collect::<BTreeMap<_, _>>(),
            model
        );
        assert!(model.iter().all(|(key, value)| slab.get(*key) == Some(value)));
        for key in gone {
            assert!(!slab.contains(key));
            assert_eq!(slab.get_mut(key), None);
            assert_eq!(slab.remove(key), None);
        }
        for key in [u64::MAX, PLACE_MASK, 1 << PLACE_BITS >> 1] {
            assert_eq!(slab.get(key), None);
        }
    }

    #[test]
    fn a_place_whose_keys_are_used_up_stays_empty() {
        let mut slab = Slab::new();
        slab.insert('a');
        slab.places[0].uses = LAST_USE - 1;
        assert_eq!(slab.remove(u64::from(LAST_USE - 1) << PLACE_BITS), Some('a'));
        let last = slab.insert('b');
        assert_eq!((last, slab.remove(last)), (u64::from(LAST_USE) << PLACE_BITS, Some('b')));
        assert_eq!(slab.insert('c'), 1);
        assert_eq!((slab.get(last), slab.len()), (None, 1));
    }
}
