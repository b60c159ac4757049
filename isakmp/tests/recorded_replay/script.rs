//! The randomness of a recorded peer.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use core::convert::Infallible;
use std::sync::Mutex;

use rand_core::{TryCryptoRng, TryRng};

/// Draws to be made, queued by their length: an endpoint draws cookies (8 bytes), nonces and
/// exponents (both of configured lengths), SPIs and message IDs (4 bytes) in one call each, so the
/// length tells what a draw is for. What nothing is queued for is jitter: zeros.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<BTreeMap<usize, VecDeque<Vec<u8>>>>>);

impl Script {
    /// Queues a draw.
    pub(crate) fn push(&self, draw: &[u8]) {
        self.0.lock().unwrap().entry(draw.len()).or_default().push_back(draw.to_vec());
    }

    /// Draws that were queued and never made.
    pub(crate) fn left(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().values().flatten().cloned().collect()
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        let queued = self.0.lock().unwrap().get_mut(&to.len()).and_then(VecDeque::pop_front);
        to.copy_from_slice(&queued.unwrap_or_else(|| vec![0; to.len()]));
        Ok(())
    }
}

impl TryCryptoRng for Script {}
