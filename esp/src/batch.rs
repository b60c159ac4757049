//! The cipher's step over many packets, where it is a step of its own.

use arrayvec::ArrayVec;

use crate::crypto::{Cipher, CipherJob, Fault};
use crate::key::Key;

/// How many packets [`seal_batch`](crate::seal_batch) and [`open_batch`](crate::open_batch) do beside each other at most: what the widest cipher has
/// lanes for. Of more, they do so many at a time. Their jobs are on the stack.
pub const BESIDE: usize = if cfg!(feature = "avx2") { 256 } else { 64 };

/// A packet that is done up to the cipher, with its key, and what came of it so far.
pub(crate) type Packet<'a, E> = (&'a Key, &'a mut [u8], &'a mut Result<(), E>);

/// Has the ciphers of `packets`, at most [`BESIDE`], do their step; `run` says which it is.
pub(crate) fn beside_each_other<'a, E: From<Fault> + 'a>(
    packets: impl Iterator<Item = Packet<'a, E>>,
    run: impl Fn(&dyn Cipher, &mut [CipherJob<'_>]),
) {
    let mut jobs = ArrayVec::<_, BESIDE>::new();
    let mut outcomes = ArrayVec::<_, BESIDE>::new();
    for (key, packet, outcome) in packets.filter(|(.., outcome)| outcome.is_ok()) {
        match key.cipher_job(packet) {
            Ok(None) => {}
            Ok(Some(job)) => {
                jobs.push(job);
                outcomes.push(outcome);
            }
            Err(fault) => *outcome = Err(fault.into()),
        }
    }
    for first in 0..jobs.len() {
        let Some(rest) = jobs.get_mut(first..) else { break };
        let undone = rest.first().filter(|job| job.outcome().is_none());
        if let Some(cipher) = undone.map(CipherJob::cipher) {
            run(cipher, rest);
        }
    }
    for (job, outcome) in jobs.iter().zip(outcomes) {
        // `None` is a cipher that does not do its own.
        *outcome = job.outcome().unwrap_or(Err(Fault)).map_err(E::from);
    }
}
