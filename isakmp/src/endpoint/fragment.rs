//! Messages that come in fragments.

use alloc::sync::Arc;

use crate::fragmentation::{self, Added, Key, ReassemblyId, Sender};
use crate::output::Timer;
use crate::path::source_of;
use crate::phase1::{Phase1, SaId};
use crate::wire::{Content, Cookie, Header, Message, Payloads};
use crate::{Deviation, Discard, Path, Trace};

use super::Endpoint;

impl Endpoint {
    /// A fragment of a message. One that completes a message which is then refused is accepted
    /// nevertheless: the fragments are gone. The trace says why.
    pub(super) fn handle_fragment(
        &mut self,
        path: Path,
        message: &Message<'_>,
    ) -> Result<(), Discard> {
        let config = Arc::clone(&self.output.config);
        if config.fragmentation.is_none() {
            return Err(Discard::FragmentationOff);
        }
        let header = &message.header;
        let encrypted;
        let payloads = match &message.content {
            Content::Clear(payloads) => payloads,
            Content::Encrypted(body) => {
                encrypted = Payloads::parse(header.next_payload, body, Header::LEN)?;
                &encrypted
            }
        };
        let fragment = fragmentation::fragment(payloads)?;
        let cookies = (header.initiator_cookie, header.responder_cookie);
        let sender = self.fragment_sender(&path, cookies)?;
        let key = Key { sender, path, cookies, id: fragment.id };
        let added = self.reassemblies.add(key, fragment, &config.limits)?;
        if let Content::Encrypted(_) = message.content {
            let record = Trace::Deviation(Deviation::FragmentEncryptionFlag);
            self.output.trace_on(&path, 0, record);
        }
        let (id, number) = (fragment.id, fragment.number);
        match added {
            Added::Waiting => {
                self.output.trace_on(&path, 0, Trace::FragmentReceived { id, number });
            }
            Added::Started(started, displaced) => {
                self.output.trace_on(&path, 0, Trace::FragmentReceived { id, number });
                if displaced.is_some() {
                    let counter = &mut self.output.counters.reassemblies_displaced;
                    *counter = counter.saturating_add(1);
                    self.output.trace_on(&path, 0, Trace::FragmentsForgotten { late: false });
                }
                self.stop_waiting(displaced);
                let deadline = self.output.now + config.limits.reassembly_timeout;
                self.output.timers.set(Timer::Reassembly(started.0, started.1), deadline);
            }
            Added::Complete(whole, waited) => {
                self.stop_waiting(waited);
                self.output.trace_on(&path, 0, Trace::Reassembled { id, octets: whole.len() });
                if let Err(discard) = self.handle_reassembled(path, cookies, &whole) {
                    self.count_discard(&path, &discard);
                }
            }
        }
        Ok(())
    }

    /// Who may use memory for fragments, and whose it is.
    fn fragment_sender(
        &self,
        path: &Path,
        (initiator, responder): (Cookie, Cookie),
    ) -> Result<Sender, Discard> {
        let unknown = Discard::UnknownCookies { initiator, responder };
        let known = |responder| self.by_cookies.get(&(initiator, responder)).copied();
        if !responder.is_zero() {
            // Until MM2 is whole we do not know the responder's cookie.
            let sa = known(responder).or_else(|| known(Cookie::ZERO)).ok_or(unknown)?;
            let established = |sa: &Phase1| sa.state.established().is_some();
            return Ok(match self.phase1.get(&sa).is_some_and(established) {
                true => Sender::Established(sa),
                false => Sender::HalfOpen(sa),
            });
        }
        if known(Cookie::ZERO).is_some() {
            // Our own first message, sent back to us.
            return Err(unknown);
        }
        if let Some(&sa) = self.by_first.get(&(initiator, path.remote)) {
            return Ok(Sender::HalfOpen(sa));
        }
        self.may_negotiate(path)?;
        Ok(Sender::Address(source_of(path.remote.ip())))
    }

    /// A message whose fragments are all here.
    fn handle_reassembled(
        &mut self,
        path: Path,
        cookies: (Cookie, Cookie),
        datagram: &[u8],
    ) -> Result<(), Discard> {
        let message = Message::parse(datagram)?;
        super::check_envelope(&message, datagram.len())?;
        self.output.config.limits.check_message(&message)?;
        let header = &message.header;
        if fragmentation::is_fragment(header) {
            return Err(Discard::FragmentOfFragment);
        }
        if (header.initiator_cookie, header.responder_cookie) != cookies {
            return Err(Discard::FragmentCookies);
        }
        self.handle_message(path, &message, datagram)?;
        if !message.excess.is_empty() {
            self.output.trace_on(&path, 0, Trace::Deviation(Deviation::TrailingBytes));
        }
        Ok(())
    }

    fn stop_waiting(&mut self, id: Option<ReassemblyId>) {
        if let Some(id) = id {
            self.output.timers.cancel(&Timer::Reassembly(id.0, id.1));
        }
    }

    /// The others did not come.
    pub(super) fn reassembly_expired(&mut self, id: ReassemblyId) {
        if let Some(path) = self.reassemblies.expire(id) {
            let counter = &mut self.output.counters.reassemblies_expired;
            *counter = counter.saturating_add(1);
            self.output.trace_on(&path, 0, Trace::FragmentsForgotten { late: true });
        }
    }

    /// Forgets the fragments of messages of an SA that is gone.
    pub(super) fn forget_fragments(&mut self, sa: SaId) {
        for id in self.reassemblies.forget(sa) {
            self.output.timers.cancel(&Timer::Reassembly(id.0, id.1));
        }
    }
}
