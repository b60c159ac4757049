//! Keys in the files that Wireshark itself reads: `ikev1_decryption_table` and `esp_sa` of a
//! profile directory.
//!
//! Both are tables of comma-separated fields, one record a line. Text is quoted; a cookie or a
//! phase 1 key is plain hexadecimal, an SPI or an ESP key hexadecimal behind `0x`.

use core::fmt;
use core::net::IpAddr;
use std::path::Path;
use std::{fs, io};

use dmvpn_core::LoggedKey;
use dmvpn_core::isakmp::{EspEncryption, EspIntegrity};
use thiserror::Error;

/// The name of the phase 1 table in a profile directory.
pub const IKEV1_FILE: &str = "ikev1_decryption_table";
/// The name of the ESP table in a profile directory.
pub const ESP_FILE: &str = "esp_sa";

/// What both tables of a directory hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// `ikev1_decryption_table`.
    pub isakmp: Vec<IsakmpKey>,
    /// `esp_sa`.
    pub esp: Vec<EspKey>,
}

/// One phase 1 SA's encryption key.
#[derive(Clone, PartialEq, Eq)]
pub struct IsakmpKey {
    /// The cookie of the initiator.
    pub initiator_cookie: [u8; 8],
    /// The key of the negotiated cipher (RFC 2409 appendix B).
    pub key: Vec<u8>,
}

impl fmt::Debug for IsakmpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IsakmpKey({}, (..))", hex(&self.initiator_cookie))
    }
}

/// One ESP SA.
#[derive(Clone, PartialEq, Eq)]
pub struct EspKey {
    /// Which addresses it goes from.
    pub source: AddressFilter,
    /// Which addresses it goes to.
    pub destination: AddressFilter,
    /// Whether the addresses are IPv6.
    pub ipv6: bool,
    /// The SPI in the packets.
    pub spi: u32,
    /// The cipher.
    pub encryption: Encryption,
    /// The cipher's key; with GCM the 4 octets of salt follow it.
    pub encryption_key: Vec<u8>,
    /// The integrity algorithm.
    pub authentication: Authentication,
    /// Its key.
    pub authentication_key: Vec<u8>,
}

impl fmt::Debug for EspKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { spi, encryption, authentication, .. } = self;
        write!(f, "EspKey({spi:#010x}, {encryption:?}, {authentication:?}, (..))")
    }
}

/// An address or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFilter {
    /// `*`
    Any,
    /// This one.
    Only(IpAddr),
}

impl AddressFilter {
    /// Whether `address` is meant.
    #[must_use]
    pub fn includes(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == address,
        }
    }
}

impl fmt::Display for AddressFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Only(address) => address.fmt(f),
        }
    }
}

/// The ciphers of Wireshark's list that this suite has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// No encryption.
    Null,
    /// RFC 2451.
    TripleDesCbc,
    /// RFC 3602, of the key's length.
    AesCbc,
    /// RFC 4106 with an ICV of 16 octets.
    AesGcm16,
}

impl Encryption {
    const NAMES: [(Self, &str); 4] = [
        (Self::Null, "NULL"),
        (Self::TripleDesCbc, "TripleDES-CBC [RFC2451]"),
        (Self::AesCbc, "AES-CBC [RFC3602]"),
        (Self::AesGcm16, "AES-GCM with 16 octet ICV [RFC4106]"),
    ];
}

/// The integrity algorithms of Wireshark's list that this suite has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// None, or the cipher's own.
    Null,
    /// RFC 2403.
    HmacMd5,
    /// RFC 2404.
    HmacSha1,
    /// RFC 4868, 128 bits.
    HmacSha256,
    /// RFC 4868, 192 bits.
    HmacSha384,
    /// RFC 4868, 256 bits.
    HmacSha512,
}

impl Authentication {
    const NAMES: [(Self, &str); 6] = [
        (Self::Null, "NULL"),
        (Self::HmacMd5, "HMAC-MD5-96 [RFC2403]"),
        (Self::HmacSha1, "HMAC-SHA-1-96 [RFC2404]"),
        (Self::HmacSha256, "HMAC-SHA-256-128 [RFC4868]"),
        (Self::HmacSha384, "HMAC-SHA-384-192 [RFC4868]"),
        (Self::HmacSha512, "HMAC-SHA-512-256 [RFC4868]"),
    ];
}

impl From<EspEncryption> for Encryption {
    fn from(encryption: EspEncryption) -> Self {
        match encryption {
            EspEncryption::TripleDes => Self::TripleDesCbc,
            EspEncryption::Aes128Cbc | EspEncryption::Aes192Cbc | EspEncryption::Aes256Cbc => {
                Self::AesCbc
            }
            EspEncryption::Aes128Gcm16
            | EspEncryption::Aes192Gcm16
            | EspEncryption::Aes256Gcm16 => Self::AesGcm16,
            EspEncryption::Null | _ => Self::Null,
        }
    }
}

impl From<Option<EspIntegrity>> for Authentication {
    fn from(integrity: Option<EspIntegrity>) -> Self {
        match integrity {
            Some(EspIntegrity::HmacMd5) => Self::HmacMd5,
            Some(EspIntegrity::HmacSha1) => Self::HmacSha1,
            Some(EspIntegrity::HmacSha256) => Self::HmacSha256,
            Some(EspIntegrity::HmacSha384) => Self::HmacSha384,
            Some(EspIntegrity::HmacSha512) => Self::HmacSha512,
            None | Some(_) => Self::Null,
        }
    }
}

/// Why keys could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A file could not be read; one that is not there is an empty table.
    #[error("{file}: {error}")]
    Io {
        /// The file's name in the directory.
        file: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// A line that is no record of the table.
    #[error("{file} line {line}: {what}")]
    Malformed {
        /// The file's name in the directory.
        file: &'static str,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

impl Keys {
    /// Reads both tables of a directory.
    ///
    /// # Errors
    ///
    /// [`KeysError`]; neither table need be there, but the directory must.
    pub fn read(directory: &Path) -> Result<Self, KeysError> {
        fs::read_dir(directory).map_err(|error| KeysError::Io { file: ".", error })?;
        let text = |file| match fs::read_to_string(directory.join(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(|error| KeysError::Io { file, error }),
        };
        Self::parse(&text(IKEV1_FILE)?, &text(ESP_FILE)?)
    }

    /// Writes both tables into a directory, which is made where it is not there.
    ///
    /// # Errors
    ///
    /// What the system fails with.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(directory)?;
        fs::write(directory.join(IKEV1_FILE), self.ikev1_text())?;
        fs::write(directory.join(ESP_FILE), self.esp_text())
    }

    /// Reads both tables from their text.
    ///
    /// # Errors
    ///
    /// [`KeysError::Malformed`].
    pub fn parse(ikev1: &str, esp: &str) -> Result<Self, KeysError> {
        Ok(Self {
            isakmp: records(IKEV1_FILE, ikev1, isakmp_key)?,
            esp: records(ESP_FILE, esp, esp_key)?,
        })
    }

    /// Adds a key of a node; whether it is new.
    pub fn log(&mut self, key: &LoggedKey) -> bool {
        match key {
            LoggedKey::Isakmp { initiator_cookie, key, .. } => {
                let key = key.dangerous_bytes().to_vec();
                insert(&mut self.isakmp, IsakmpKey { initiator_cookie: *initiator_cookie, key })
            }
            LoggedKey::Esp { spi, transform, encryption_key, integrity_key, .. } => {
                let key = EspKey {
                    // A NAT changes the addresses, not the index.
                    source: AddressFilter::Any,
                    destination: AddressFilter::Any,
                    ipv6: false,
                    spi: *spi,
                    encryption: transform.encryption.into(),
                    encryption_key: encryption_key.dangerous_bytes().to_vec(),
                    authentication: transform.integrity.into(),
                    authentication_key: integrity_key.dangerous_bytes().to_vec(),
                };
                insert(&mut self.esp, key)
            }
            _ => false,
        }
    }

    /// The text of `ikev1_decryption_table`.
    #[must_use]
    pub fn ikev1_text(&self) -> String {
        let record =
            |key: &IsakmpKey| format!("{},{}\n", hex(&key.initiator_cookie), hex(&key.key));
        self.isakmp.iter().map(record).collect()
    }

    /// The text of `esp_sa`.
    #[must_use]
    pub fn esp_text(&self) -> String {
        let record = |key: &EspKey| {
            let protocol = if key.ipv6 { "IPv6" } else { "IPv4" };
            let secret =
                |key: &[u8]| if key.is_empty() { "".into() } else { format!("0x{}", hex(key)) };
            format!(
                "\"{protocol}\",\"{}\",\"{}\",\"{:#010x}\",\"{}\",\"{}\",\"{}\",\"{}\"\n",
                key.source,
                key.destination,
                key.spi,
                name(&Encryption::NAMES, key.encryption),
                secret(&key.encryption_key),
                name(&Authentication::NAMES, key.authentication),
                secret(&key.authentication_key),
            )
        };
        self.esp.iter().map(record).collect()
    }

    /// The phase 1 key of the SA with this initiator cookie.
    #[must_use]
    pub fn isakmp_key(&self, initiator_cookie: [u8; 8]) -> Option<&[u8]> {
        let found = self.isakmp.iter().find(|key| key.initiator_cookie == initiator_cookie);
        found.map(|key| &key.key[..])
    }

    /// The index in `esp` of the SA that a packet belongs to.
    #[must_use]
    pub fn esp_key(&self, source: IpAddr, destination: IpAddr, spi: u32) -> Option<usize> {
        self.esp.iter().position(|key| {
            key.spi == spi
                && key.source.includes(source)
                && key.destination.includes(destination)
                && key.ipv6 == destination.is_ipv6()
        })
    }
}

fn insert<T: PartialEq>(table: &mut Vec<T>, record: T) -> bool {
    let new = !table.contains(&record);
    if new {
        table.push(record);
    }
    new
}

fn records<T>(
    file: &'static str,
    text: &str,
    record: fn(&[String]) -> Result<T, String>,
) -> Result<Vec<T>, KeysError> {
    let lines = text.lines().enumerate();
    let lines = lines.map(|(index, line)| (index.saturating_add(1), line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let malformed = |line, what| KeysError::Malformed { file, line, what };
    lines
        .map(|(number, line)| {
            fields(line).and_then(|fields| record(&fields)).map_err(|what| malformed(number, what))
        })
        .collect()
}

/// The fields of a line, without their quotes.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().into_iter().for_each(|field| field.push(other)),
        }
    }
    if quoted { Err("a quote is not closed".into()) } else { Ok(fields) }
}

fn isakmp_key(fields: &[String]) -> Result<IsakmpKey, String> {
    let [cookie, key] = fields else {
        return Err(format!("{} fields where cookie and key are 2", fields.len()));
    };
    let cookie = unhex("the cookie", cookie)?;
    let initiator_cookie = cookie.try_into().map_err(|_| "a cookie is 8 octets")?;
    Ok(IsakmpKey { initiator_cookie, key: unhex("the key", key)? })
}

fn esp_key(fields: &[String]) -> Result<EspKey, String> {
    let [protocol, source, destination, spi, cipher, cipher_key, mac, mac_key] = fields else {
        return Err(format!("{} fields where an SA has 8", fields.len()));
    };
    let ipv6 = match protocol.as_str() {
        "IPv4" => false,
        "IPv6" => true,
        other => return Err(format!("unknown protocol `{other}`")),
    };
    let filter = |text: &str| match text {
        "*" => Ok(AddressFilter::Any),
        _ => match text.parse::<IpAddr>() {
            Ok(address) if address.is_ipv6() == ipv6 => Ok(AddressFilter::Only(address)),
            _ => Err(format!("`{text}` is neither `*` nor an {protocol} address")),
        },
    };
    let secret = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => unhex("the key", digits),
        None if text.is_empty() => Ok(Vec::new()),
        None => Err("a key starts with 0x".into()),
    };
    let digits = spi.strip_prefix("0x").filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    Ok(EspKey {
        source: filter(source)?,
        destination: filter(destination)?,
        ipv6,
        spi: number.ok_or_else(|| format!("`{spi}` is not an SPI of 0x and up to 8 digits"))?,
        encryption: by_name(&Encryption::NAMES, cipher)?,
        encryption_key: secret(cipher_key)?,
        authentication: by_name(&Authentication::NAMES, mac)?,
        authentication_key: secret(mac_key)?,
    })
}

fn by_name<T: Copy>(names: &[(T, &'static str)], text: &str) -> Result<T, String> {
    let found = names.iter().find(|(_, name)| *name == text);
    found.map(|(value, _)| *value).ok_or_else(|| format!("algorithm `{text}` is not offered"))
}

fn name<T: PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(known, _)| *known == value).map_or("", |(_, name)| name)
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The octets of an even number of hexadecimal digits; an error does not repeat them, since it may be
/// a key.
fn unhex(what: &str, text: &str) -> Result<Vec<u8>, String> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let octets: Option<Vec<u8>> = octets.collect();
    octets.filter(|_| rest.is_empty()).ok_or_else(|| format!("{what} is not hexadecimal"))
}
