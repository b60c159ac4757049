//! The random ECP groups 19 and 20 (RFC 5903), P-256 and P-384.

use alloc::vec::Vec;
use core::{fmt, marker::PhantomData};

use bytes::Bytes;
use p256::elliptic_curve::{
    AffinePoint, CurveArithmetic, Field as _, FieldBytes, FieldBytesSize, NonZeroScalar, PublicKey,
    Scalar,
    array::typenum::Unsigned as _,
    ecdh,
    ops::Reduce,
    sec1::{FromSec1Point, ModulusSize, ToSec1Point},
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::crypto::{
    DiffieHellman, DiffieHellmanError, Exponent, ExponentLength, Group, SharedSecret,
};

pub(super) static GROUP_19: Ecp<p256::NistP256> = Ecp::new(Group::ECP_256);
pub(super) static GROUP_20: Ecp<p384::NistP384> = Ecp::new(Group::ECP_384);

/// Bytes drawn beyond the order's length, so that the reduction leaves no measurable bias.
const EXTRA: usize = 8;

pub(super) struct Ecp<C> {
    group: Group,
    curve: PhantomData<fn() -> C>,
}

impl<C> Ecp<C> {
    const fn new(group: Group) -> Self {
        Self { group, curve: PhantomData }
    }
}

impl<C> Ecp<C>
where
    C: CurveArithmetic,
    Scalar<C>: Reduce<FieldBytes<C>>,
    FieldBytesSize<C>: ModulusSize,
{
    /// Bytes of a coordinate, and of the order.
    const LEN: usize = FieldBytesSize::<C>::USIZE;

    /// The exponent modulo the order: high * 2^(8 LEN) + low, each half reduced on its own
    /// (FIPS 186-5 §A.2.1).
    fn scalar(
        &self,
        exponent: &Exponent,
    ) -> Result<Zeroizing<NonZeroScalar<C>>, DiffieHellmanError> {
        let bytes = exponent.dangerous_bytes();
        let wrong = DiffieHellmanError::Exponent { group: self.group, have: bytes.len() };
        let (high, low) = bytes.split_at_checked(EXTRA).ok_or(wrong)?;
        let mut low = FieldBytes::<C>::try_from(low).map_err(|_| wrong)?;
        let mut padded = FieldBytes::<C>::default();
        padded.iter_mut().rev().zip(high.iter().rev()).for_each(|(to, from)| *to = *from);

        let all_ones = FieldBytes::<C>::from_fn(|_| 0xff);
        let two_to_the_len = add(Scalar::<C>::reduce(&all_ones), Scalar::<C>::ONE);
        let high = multiply(Scalar::<C>::reduce(&padded), two_to_the_len);
        let mut scalar = add(high, Scalar::<C>::reduce(&low));
        low.as_mut_slice().zeroize();
        padded.as_mut_slice().zeroize();

        let nonzero = Option::<NonZeroScalar<C>>::from(NonZeroScalar::<C>::new(scalar));
        scalar.zeroize();
        nonzero.map(Zeroizing::new).ok_or(wrong)
    }
}

#[expect(clippy::arithmetic_side_effects, reason = "addition in a field cannot overflow")]
fn add<F: p256::elliptic_curve::Field>(a: F, b: F) -> F {
    a + b
}

#[expect(clippy::arithmetic_side_effects, reason = "multiplication in a field cannot overflow")]
fn multiply<F: p256::elliptic_curve::Field>(a: F, b: F) -> F {
    a * b
}

impl<C> fmt::Debug for Ecp<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.group, f)
    }
}

impl<C> Ecp<C>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    /// A peer's point, x | y, on the curve.
    fn peer_point(&self, peer: &[u8]) -> Result<PublicKey<C>, DiffieHellmanError> {
        let group = self.group;
        let needed = FieldBytesSize::<C>::USIZE.saturating_mul(2);
        if peer.len() != needed {
            return Err(DiffieHellmanError::Length { group, needed, have: peer.len() });
        }
        let mut encoded = Vec::with_capacity(needed.saturating_add(1));
        // SEC 1: an uncompressed point.
        encoded.push(4);
        encoded.extend_from_slice(peer);
        PublicKey::<C>::from_sec1_bytes(&encoded)
            .map_err(|_| DiffieHellmanError::NotOnCurve { group })
    }
}

impl<C> DiffieHellman for Ecp<C>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    Scalar<C>: Reduce<FieldBytes<C>>,
    FieldBytesSize<C>: ModulusSize,
{
    fn group(&self) -> Group {
        self.group
    }

    fn public_value_len(&self) -> usize {
        Self::LEN.saturating_mul(2)
    }

    fn exponent_len(&self, _: ExponentLength) -> usize {
        Self::LEN.saturating_add(EXTRA)
    }

    fn public_value(&self, exponent: &Exponent) -> Result<Bytes, DiffieHellmanError> {
        let public = PublicKey::<C>::from_secret_scalar(&*self.scalar(exponent)?);
        // RFC 5903 §7: x | y, which is the uncompressed encoding of SEC 1 without its first byte.
        let encoded = public.to_sec1_point(false);
        Ok(Bytes::copy_from_slice(encoded.as_bytes().get(1..).unwrap_or_default()))
    }

    fn check_public_value(&self, peer: &[u8]) -> Result<(), DiffieHellmanError> {
        self.peer_point(peer).map(|_| ())
    }

    fn shared_secret(
        &self,
        exponent: &Exponent,
        peer: &[u8],
    ) -> Result<SharedSecret, DiffieHellmanError> {
        let scalar = self.scalar(exponent)?;
        let peer = self.peer_point(peer)?;
        // RFC 5903 §7: the x coordinate alone.
        let secret = ecdh::diffie_hellman::<C>(&*scalar, peer.as_affine());
        Ok(SharedSecret::new(secret.raw_secret_bytes().to_vec()))
    }
}
