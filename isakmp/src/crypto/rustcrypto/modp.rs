//! The MODP groups (RFC 2409 §6, RFC 3526), in constant time but for the public exponent length.

use core::{fmt, marker::PhantomData};

use bytes::Bytes;
use crypto_bigint::{
    U768, U1024, U1536, U2048, U3072, U4096, Uint, const_monty_params,
    modular::{ConstMontyForm, ConstMontyParams},
};
use zeroize::{Zeroize as _, Zeroizing};

use crate::crypto::{
    DiffieHellman, DiffieHellmanError, Exponent, ExponentLength, Group, SharedSecret,
};

pub(super) static GROUP_1: Modp<Prime768, { U768::LIMBS }> = Modp::new(Group::MODP_768, 32);
pub(super) static GROUP_2: Modp<Prime1024, { U1024::LIMBS }> = Modp::new(Group::MODP_1024, 32);
pub(super) static GROUP_5: Modp<Prime1536, { U1536::LIMBS }> = Modp::new(Group::MODP_1536, 32);
pub(super) static GROUP_14: Modp<Prime2048, { U2048::LIMBS }> = Modp::new(Group::MODP_2048, 40);
pub(super) static GROUP_15: Modp<Prime3072, { U3072::LIMBS }> = Modp::new(Group::MODP_3072, 56);
pub(super) static GROUP_16: Modp<Prime4096, { U4096::LIMBS }> = Modp::new(Group::MODP_4096, 64);

/// One group: its prime's Montgomery form is computed by the compiler.
pub(super) struct Modp<P, const LIMBS: usize> {
    group: Group,
    /// Bytes of an exponent of [`ExponentLength::Short`].
    short: usize,
    prime: PhantomData<fn() -> P>,
}

impl<P: ConstMontyParams<LIMBS>, const LIMBS: usize> Modp<P, LIMBS> {
    /// Bytes of the prime.
    const LEN: usize = Uint::<LIMBS>::BYTES;

    const fn new(group: Group, short: usize) -> Self {
        Self { group, short, prime: PhantomData }
    }

    /// A peer's value of the right length and within 2..=p-2.
    fn peer_value(&self, peer: &[u8]) -> Result<Uint<LIMBS>, DiffieHellmanError> {
        let group = self.group;
        if peer.len() != Self::LEN {
            return Err(DiffieHellmanError::Length { group, needed: Self::LEN, have: peer.len() });
        }
        let peer = Uint::<LIMBS>::from_be_slice(peer);
        // The value is public, so the time of the comparison tells nothing.
        let p_minus_1 = P::PARAMS.modulus().as_ref().wrapping_sub(&Uint::ONE);
        if peer <= Uint::ONE || peer >= p_minus_1 {
            return Err(DiffieHellmanError::Range { group });
        }
        Ok(peer)
    }

    /// `base` to the power of the exponent, padded on the left to the prime's length. The time
    /// taken depends on the exponent's length only.
    fn power(
        &self,
        base: &Uint<LIMBS>,
        exponent: &Exponent,
    ) -> Result<Zeroizing<Uint<LIMBS>>, DiffieHellmanError> {
        let bytes = exponent.dangerous_bytes();
        let wrong = DiffieHellmanError::Exponent { group: self.group, have: bytes.len() };
        let zeros = Self::LEN.checked_sub(bytes.len()).ok_or(wrong)?;
        let bits =
            u32::try_from(bytes.len()).ok().and_then(|len| len.checked_mul(8)).ok_or(wrong)?;

        let mut padded = Zeroizing::new(Uint::<LIMBS>::ZERO.to_be_bytes());
        for (to, from) in padded.as_mut_slice().iter_mut().skip(zeros).zip(bytes) {
            *to = *from;
        }
        let exponent = Zeroizing::new(Uint::<LIMBS>::from_be_slice(padded.as_slice()));
        let mut power = ConstMontyForm::<P, LIMBS>::new(base).pow_bounded_exp(&*exponent, bits);
        let result = Zeroizing::new(power.retrieve());
        power.zeroize();
        Ok(result)
    }
}

impl<P, const LIMBS: usize> fmt::Debug for Modp<P, LIMBS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.group, f)
    }
}

impl<P: ConstMontyParams<LIMBS>, const LIMBS: usize> DiffieHellman for Modp<P, LIMBS> {
    fn group(&self) -> Group {
        self.group
    }

    fn public_value_len(&self) -> usize {
        Self::LEN
    }

    fn exponent_len(&self, length: ExponentLength) -> usize {
        match length {
            ExponentLength::Short => self.short,
            ExponentLength::Full => Self::LEN,
        }
    }

    fn public_value(&self, exponent: &Exponent) -> Result<Bytes, DiffieHellmanError> {
        // Every one of these groups has the generator 2.
        let value = self.power(&Uint::<LIMBS>::from_u8(2), exponent)?;
        Ok(Bytes::copy_from_slice(value.to_be_bytes().as_slice()))
    }

    fn check_public_value(&self, peer: &[u8]) -> Result<(), DiffieHellmanError> {
        self.peer_value(peer).map(|_| ())
    }

    fn shared_secret(
        &self,
        exponent: &Exponent,
        peer: &[u8],
    ) -> Result<SharedSecret, DiffieHellmanError> {
        let secret = self.power(&self.peer_value(peer)?, exponent)?;
        let bytes = Zeroizing::new(secret.to_be_bytes());
        Ok(SharedSecret::new(bytes.as_slice().to_vec()))
    }
}

const_monty_params!(
    Prime768,
    U768,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A63A3620FFFFFFFFFFFFFFFF",
    "The prime of group 1 (RFC 2409 §6.1)."
);

const_monty_params!(
    Prime1024,
    U1024,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE65381FFFFFFFFFFFFFFFF",
    "The prime of group 2 (RFC 2409 §6.2)."
);

const_monty_params!(
    Prime1536,
    U1536,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA237327FFFFFFFFFFFFFFFF",
    "The prime of group 5 (RFC 3526 §2)."
);

const_monty_params!(
    Prime2048,
    U2048,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
     3995497CEA956AE515D2261898FA051015728E5A8AACAA68FFFFFFFFFFFFFFFF",
    "The prime of group 14 (RFC 3526 §3)."
);

const_monty_params!(
    Prime3072,
    U3072,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
     3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
     A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
     ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
     D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
     08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    "The prime of group 15 (RFC 3526 §4)."
);

const_monty_params!(
    Prime4096,
    U4096,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74\
     020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F1437\
     4FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF05\
     98DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB\
     9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718\
     3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33\
     A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
     ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864\
     D87602733EC86A64521F2B18177B200CBBE117577A615D6C770988C0BAD946E2\
     08E24FA074E5AB3143DB5BFCE0FD108E4B82D120A92108011A723C12A787E6D7\
     88719A10BDBA5B2699C327186AF4E23C1A946834B6150BDA2583E9CA2AD44CE8\
     DBBBC2DB04DE8EF92E8EFC141FBECAA6287C59474E6BC05D99B2964FA090C3A2\
     233BA186515BE7ED1F612970CEE2D7AFB81BDD762170481CD0069127D5B05AA9\
     93B4EA988D8FDDC186FFB7DC90A6C08F4DF435C934063199FFFFFFFFFFFFFFFF",
    "The prime of group 16 (RFC 3526 §5)."
);
