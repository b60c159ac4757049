//! The next hop server: it keeps what clients register.
//!
//! ```text
//! client                                              server
//!    Registration Request, id n, CIE            ──▶   policy, uniqueness, limits
//!                                                      cache entry, multicast map
//!    CIE code 0, or 4, 5, 14; responder address ◀──   Registration Reply, id n
//!    Purge Request, CIE                         ──▶   only from who registered it
//!    unless the request has the N flag          ◀──   Purge Reply
//! ```

mod purge;
mod registration;
mod reply;

pub(crate) use purge::Purge;
pub(crate) use registration::Registration;
