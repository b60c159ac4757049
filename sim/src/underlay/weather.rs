//! What a link does to packets.

use core::time::Duration;

use crate::dice::Dice;

/// The state of a site's link, in both directions. Chances are in per mille.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// The packet is lost.
    pub loss: u16,
    /// It comes twice.
    pub duplication: u16,
    /// It is overtaken: up to two seconds late.
    pub reordering: u16,
    /// It comes a second time, up to two minutes late.
    pub echo: u16,
    /// A bit of it changes, and no checksum of the underlay notices.
    pub damage: u16,
    /// Its end is cut off.
    pub truncation: u16,
    /// How long it takes.
    pub latency: Duration,
    /// How much longer it may take.
    pub jitter: Duration,
    /// The longest IP packet that goes in one piece, in octets.
    pub mtu: u16,
    /// Whether a longer one goes in fragments, each of which may be lost; else it is lost.
    pub fragments: bool,
}

impl Default for Weather {
    /// A clean link with 10 ms.
    fn default() -> Self {
        Self {
            loss: 0,
            duplication: 0,
            reordering: 0,
            echo: 0,
            damage: 0,
            truncation: 0,
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
            mtu: 1500,
            fragments: true,
        }
    }
}

/// What becomes of one packet: each copy that arrives, after how long, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// The copies.
    pub copies: Vec<Arrival>,
}

/// One copy of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// How long it takes.
    pub after: Duration,
    /// Which bit is changed, counted modulo the length.
    pub damaged: Option<u64>,
    /// To which length it is cut, modulo the length.
    pub cut: Option<u64>,
}

impl Weather {
    /// Both links that a packet passes, as one: what either does happens.
    #[must_use]
    pub fn then(self, other: Self) -> Self {
        let either = |a: u16, b: u16| a.saturating_add(b).min(1000);
        Self {
            loss: either(self.loss, other.loss),
            duplication: either(self.duplication, other.duplication),
            reordering: either(self.reordering, other.reordering),
            echo: either(self.echo, other.echo),
            damage: either(self.damage, other.damage),
            truncation: either(self.truncation, other.truncation),
            latency: self.latency.saturating_add(other.latency),
            jitter: self.jitter.saturating_add(other.jitter),
            mtu: self.mtu.min(other.mtu),
            fragments: self.fragments && other.fragments,
        }
    }

    /// What becomes of a packet of so many octets.
    pub fn fate(&self, octets: usize, dice: &mut Dice) -> Fate {
        let mut fate = Fate::default();
        let copies = if dice.chance(self.duplication) { 2 } else { 1 };
        for _ in 0..copies {
            if let Some(copy) = self.copy(octets, dice) {
                fate.copies.push(copy);
            }
        }
        if dice.chance(self.echo)
            && let Some(mut late) = self.copy(octets, dice)
        {
            late.after += Duration::from_millis(dice.below(120_000));
            fate.copies.push(late);
        }
        fate
    }

    fn copy(&self, octets: usize, dice: &mut Dice) -> Option<Arrival> {
        let pieces = octets.div_ceil(usize::from(self.mtu).max(1)).max(1);
        if pieces > 1 && !self.fragments {
            return None;
        }
        for _ in 0..pieces {
            if dice.chance(self.loss) {
                return None;
            }
        }
        let jitter = u64::try_from(self.jitter.as_micros()).unwrap_or(u64::MAX);
        let mut after = self.latency.saturating_add(Duration::from_micros(dice.below(jitter)));
        if dice.chance(self.reordering) {
            after += Duration::from_millis(dice.below(2_000));
        }
        let damaged = dice.chance(self.damage).then(|| dice.next());
        let cut = dice.chance(self.truncation).then(|| dice.next());
        Some(Arrival { after, damaged, cut })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_link_delivers_once_and_in_time() {
        let mut dice = Dice::new(1);
        let fate = Weather::default().fate(1500, &mut dice);
        let only = Arrival { after: Duration::from_millis(10), damaged: None, cut: None };
        assert_eq!(fate.copies, [only]);
    }

    #[test]
    fn what_is_certain_happens() {
        let mut dice = Dice::new(2);
        let lossy = Weather { loss: 1000, ..Weather::default() };
        assert!(lossy.fate(100, &mut dice).copies.is_empty());
        let twice = Weather { duplication: 1000, damage: 1000, ..Weather::default() };
        let copies = twice.fate(100, &mut dice).copies;
        assert_eq!(copies.len(), 2);
        assert!(copies.iter().all(|copy| copy.damaged.is_some()));
    }

    #[test]
    fn fragments_pass_or_they_do_not() {
        let mut dice = Dice::new(3);
        let narrow = Weather { mtu: 1300, ..Weather::default() };
        assert_eq!(narrow.fate(1400, &mut dice).copies.len(), 1);
        let hole = Weather { fragments: false, ..narrow };
        assert!(hole.fate(1400, &mut dice).copies.is_empty());
        assert_eq!(hole.fate(1300, &mut dice).copies.len(), 1);
        assert!(hole.then(Weather::default()).fate(1400, &mut dice).copies.is_empty());
    }
}
