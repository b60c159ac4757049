//! Whether a jump or an address depends on a secret: `benches/secrets` runs it under valgrind, whose memcheck follows each bit of a secret
//! through everything that is computed from it. What is said to be constant-time must give no report; what is said to read tables must
//! give some, or nobody looks.

use std::process::ExitCode;

#[cfg(not(target_arch = "x86_64"))]
fn main() -> ExitCode {
    eprintln!("secrets: how to speak to valgrind is known for x86-64 only");
    ExitCode::FAILURE
}

#[cfg(target_arch = "x86_64")]
fn main() -> ExitCode {
    if !dmvpn_benches::memcheck::is_running() {
        eprintln!("secrets: to be run by valgrind");
        return ExitCode::FAILURE;
    }
    if cases::all() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(target_arch = "x86_64")]
mod cases {
    use std::convert::Infallible;
    use std::hint::black_box;
    use std::ops::RangeInclusive;

    use dmvpn_benches::memcheck::{conceal, reports, reveal};
    use dmvpn_des::{CbcDecrypt, CbcEncrypt, TripleDes, cbc_decrypt_batch, cbc_encrypt_batch};
    use dmvpn_esp::crypto::{Provider as _, RustCrypto};
    use dmvpn_esp::{Encryption, Integrity};
    use dmvpn_isakmp::crypto::{Digest, Exponent, ExponentLength, Group, Provider};
    use rand_core::{TryCryptoRng, TryRng};

    /// Whether each case is what it is said to be.
    pub fn all() -> bool {
        let mut good = true;
        let mut case_with = |name: &str, said: RangeInclusive<u64>, run: &dyn Fn()| {
            let before = reports();
            run();
            let found = reports() - before;
            let as_said = said.contains(&found);
            good &= as_said;
            let verdict = if as_said { "as said" } else { "NOT as said" };
            println!("{name:<48} {found:>6} reports, {verdict}");
        };
        // Inside `aes-gcm`, the verdict on a tag, which is for everybody to see, decides whether the text is decrypted.
        case_with("ESP's ICV and text, AES-GCM opened", 1..=1, &gcm_opened);
        let mut case = |name: &str, constant_time: bool, run: &dyn Fn()| {
            case_with(name, if constant_time { 0..=0 } else { 1..=u64::MAX }, run);
        };
        for blocks in [1, 28, 64, 65, 175, 256, 300] {
            case(&format!("3DES sliced, {blocks} blocks"), true, &|| sliced(blocks));
        }
        for packets in [1, 28, 64, 256] {
            case(&format!("3DES sliced, CBC, {packets} packets"), true, &|| chains(packets));
        }
        for blocks in [28, 64, 175, 256] {
            let name = format!("3DES as ESP opens, a packet of {blocks} blocks");
            case(&name, true, &|| opened(blocks));
        }
        // The last does not fill a slice of either width, and is looked up.
        case("3DES as ESP opens, a packet of 257 blocks", false, &|| opened(257));
        case("3DES by tables, 1 block", false, &|| by_tables(1));
        case("3DES by tables, 27 blocks", false, &|| by_tables(27));
        for integrity in [Integrity::HmacMd5, Integrity::HmacSha1, Integrity::HmacSha256] {
            case(&format!("ESP's ICV, {integrity:?}"), true, &|| icv(integrity));
        }
        case("ESP's ICV and text, AES-GCM sealed", true, &gcm_sealed);
        case("IKE's HASH payloads compared", true, &digest);
        let groups = [
            Group::MODP_768,
            Group::MODP_1024,
            Group::MODP_1536,
            Group::MODP_2048,
            Group::MODP_3072,
            Group::MODP_4096,
        ];
        for group in groups {
            case(&format!("Diffie-Hellman, {group}"), true, &|| diffie_hellman(group));
        }
        good
    }

    /// Octets that nothing may depend on.
    fn secret<const N: usize>(seed: u8) -> [u8; N] {
        let mut octets = [0; N];
        let mut next = seed;
        for octet in &mut octets {
            next = next.wrapping_mul(181).wrapping_add(59);
            *octet = next;
        }
        conceal(&octets);
        octets
    }

    fn secrets(blocks: usize) -> Vec<[u8; 8]> {
        (0..blocks).map(|n| secret(n as u8)).collect()
    }

    fn sliced(blocks: usize) {
        let cipher = TripleDes::new(&secret(1)).constant_time();
        let mut blocks = secrets(blocks);
        cipher.encrypt_blocks(black_box(&mut blocks));
        cipher.decrypt_blocks(black_box(&mut blocks));
    }

    /// Packets of different lengths and keys, so that lanes run out.
    fn chains(packets: usize) {
        let ciphers: Vec<TripleDes> =
            (0..packets).map(|n| TripleDes::new(&secret(n as u8)).constant_time()).collect();
        let mut packets: Vec<Vec<u8>> =
            (0..packets).map(|n| secret::<40>(7)[..8 * (1 + n % 5)].to_vec()).collect();
        let mut jobs: Vec<CbcEncrypt<'_>> = (ciphers.iter().zip(&mut packets))
            .map(|(cipher, packet)| {
                CbcEncrypt::new(cipher, secret(3), packet).expect("whole blocks")
            })
            .collect();
        cbc_encrypt_batch(&mut jobs);
        let mut jobs: Vec<CbcDecrypt<'_>> = (ciphers.iter().zip(&mut packets))
            .map(|(cipher, packet)| {
                CbcDecrypt::new(cipher, secret(3), packet).expect("whole blocks")
            })
            .collect();
        cbc_decrypt_batch(&mut jobs);
    }

    fn opened(blocks: usize) {
        let cipher = RustCrypto.cipher(Encryption::TripleDesCbc, &secret::<24>(1)).expect("a key");
        let mut packet = secrets(blocks);
        cipher.decrypt(&[0; 8], packet.as_flattened_mut()).expect("whole blocks");
    }

    fn by_tables(blocks: usize) {
        let cipher = TripleDes::new(&secret(1));
        cipher.encrypt_blocks(black_box(&mut secrets(blocks)));
    }

    fn icv(integrity: Integrity) {
        let (key, received, text) = (secret::<64>(1), secret::<32>(2), secret::<200>(3));
        let (key, received) = (&key[..integrity.key_len()], &received[..integrity.icv_len()]);
        let mac = RustCrypto.mac(integrity, key);
        let holds = mac.expect("a key").verify([&text, &[]], received);
        reveal_outcome(&holds);
        assert_eq!(holds, Ok(false));
    }

    fn gcm_sealed() {
        let aead = RustCrypto.aead(Encryption::AesGcm128, &secret::<16>(1)).expect("a key");
        let (mut text, mut icv) = (secret::<200>(2), [0; 16]);
        aead.seal(&[0; 12], &[0; 8], &mut text, &mut icv).expect("a short packet");
    }

    fn gcm_opened() {
        let aead = RustCrypto.aead(Encryption::AesGcm128, &secret::<16>(1)).expect("a key");
        let (mut text, mut icv) = (secret::<200>(2), [0; 16]);
        aead.seal(&[0; 12], &[0; 8], &mut text, &mut icv).expect("a short packet");
        let opened = aead.open(&[0; 12], &[0; 8], &mut text, &icv);
        reveal_outcome(&opened);
        assert_eq!(opened, Ok(true));
    }

    fn digest() {
        let (ours, theirs) = (secret::<20>(1), secret::<20>(2));
        let same = black_box(Digest::new(&ours)).verify(&theirs);
        reveal_outcome(&same);
        assert!(!black_box(same));
    }

    fn diffie_hellman(group: Group) {
        let provider = Provider::rustcrypto();
        let group = provider.group(group).expect("it has it");
        let exponent = Exponent::draw(group, ExponentLength::Short, &mut Secrets);
        let public = group.public_value(&exponent).expect("an exponent of the group");
        reveal(&public);
        assert!(public.iter().any(|octet| *octet != 0));
        black_box(group.shared_secret(&exponent, &public).expect("a value of the group"));
    }

    /// What a comparison found is for everybody to see.
    fn reveal_outcome<T>(outcome: &T) {
        let octets = std::ptr::from_ref(outcome).cast::<u8>();
        // SAFETY: the octets of a value that is borrowed; nobody reads them.
        reveal(unsafe { std::slice::from_raw_parts(octets, size_of::<T>()) });
    }

    /// A generator of secrets.
    struct Secrets;

    impl TryRng for Secrets {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(u32::from_be_bytes(secret(4)))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(u64::from_be_bytes(secret(5)))
        }

        fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
            octets.iter_mut().zip((1..).step_by(3)).for_each(|(octet, n)| *octet = n);
            conceal(octets);
            Ok(())
        }
    }

    impl TryCryptoRng for Secrets {}
}
