//! Diffie-Hellman outside the event loop.
//!
//! ```text
//!   initiator    Job::key_pair ──▶ MM3 …… MM4 ──▶ Job::shared_secret ──▶ MM5
//!   responder              MM3 ──▶ Job::both ──▶ MM4 (and the keys for MM5)
//! ```

use bytes::Bytes;

use super::{DiffieHellman, DiffieHellmanError, Exponent, KeyPair, SharedSecret};

/// Tells a job's result apart from every other job's of the same endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// One or two exponentiations, with everything they need: it can go to another thread and draws no
/// randomness there.
#[derive(Debug)]
pub struct Job {
    id: JobId,
    group: &'static dyn DiffieHellman,
    ours: Ours,
    peer: Option<Bytes>,
}

/// What is already computed of our half.
#[derive(Debug)]
enum Ours {
    Exponent(Exponent),
    KeyPair(KeyPair),
}

impl Job {
    /// Compute our public value.
    #[must_use]
    pub fn key_pair(id: JobId, group: &'static dyn DiffieHellman, exponent: Exponent) -> Self {
        Self { id, group, ours: Ours::Exponent(exponent), peer: None }
    }

    /// Compute the shared secret from the peer's public value.
    #[must_use]
    pub fn shared_secret(
        id: JobId,
        group: &'static dyn DiffieHellman,
        key_pair: KeyPair,
        peer: Bytes,
    ) -> Self {
        Self { id, group, ours: Ours::KeyPair(key_pair), peer: Some(peer) }
    }

    /// Compute both: the responder's only job.
    #[must_use]
    pub fn both(
        id: JobId,
        group: &'static dyn DiffieHellman,
        exponent: Exponent,
        peer: Bytes,
    ) -> Self {
        Self { id, group, ours: Ours::Exponent(exponent), peer: Some(peer) }
    }

    /// The job's number, which its result carries too.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Does the work: up to some milliseconds for the larger groups.
    #[must_use]
    pub fn run(self) -> JobResult {
        let Self { id, group, ours, peer } = self;
        JobResult { id, outcome: Self::compute(group, ours, peer) }
    }

    fn compute(
        group: &'static dyn DiffieHellman,
        ours: Ours,
        peer: Option<Bytes>,
    ) -> Result<Agreement, DiffieHellmanError> {
        let key_pair = match ours {
            Ours::Exponent(exponent) => KeyPair::new(group, exponent)?,
            Ours::KeyPair(key_pair) => key_pair,
        };
        let shared_secret =
            peer.map(|peer| group.shared_secret(key_pair.exponent(), &peer)).transpose()?;
        Ok(Agreement { key_pair, shared_secret })
    }
}

/// What a [`Job`] came to; opaque on its way back to the endpoint.
#[derive(Debug)]
pub struct JobResult {
    id: JobId,
    outcome: Result<Agreement, DiffieHellmanError>,
}

impl JobResult {
    /// The number of the job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The outcome; an error is the peer's fault and ends the exchange.
    ///
    /// # Errors
    /// As [`DiffieHellman::shared_secret`].
    pub fn into_outcome(self) -> Result<Agreement, DiffieHellmanError> {
        self.outcome
    }
}

/// Our key pair and, once the peer's value is known, the secret shared with it.
#[derive(Debug)]
pub struct Agreement {
    /// Our exponent and public value.
    pub key_pair: KeyPair,
    /// g^xy, if the job knew the peer's value.
    pub shared_secret: Option<SharedSecret>,
}
