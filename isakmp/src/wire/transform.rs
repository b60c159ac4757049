use super::ProtocolId;
use super::code_point::code_points;
use core::fmt;

/// What a transform does. Its meaning depends on the protocol of its proposal (RFC 2407 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransformId(pub u8);

macro_rules! transform_ids {
    ($( $protocol:ident { $( $constant:ident = $value:literal; )* } )*) => {
        impl TransformId {
            $( $(
                #[doc = concat!("`", stringify!($constant), "`, ", stringify!($value), ".")]
                pub const $constant: Self = Self($value);
            )* )*

            /// The name that RFC 2407 gives it in proposals for this protocol, if it has one.
            #[must_use]
            pub const fn name(self, protocol: ProtocolId) -> Option<&'static str> {
                match (protocol, self) {
                    $( $( (ProtocolId::$protocol, Self::$constant) => {
                        Some(stringify!($constant))
                    } )* )*
                    _ => None,
                }
            }
        }
    };
}

transform_ids! {
    ISAKMP {
        KEY_IKE = 1;
    }
    AH {
        AH_MD5 = 2;
        AH_SHA = 3;
        AH_DES = 4;
        AH_SHA2_256 = 5;
        AH_SHA2_384 = 6;
        AH_SHA2_512 = 7;
    }
    ESP {
        ESP_DES_IV64 = 1;
        ESP_DES = 2;
        ESP_3DES = 3;
        ESP_RC5 = 4;
        ESP_IDEA = 5;
        ESP_CAST = 6;
        ESP_BLOWFISH = 7;
        ESP_3IDEA = 8;
        ESP_DES_IV32 = 9;
        ESP_RC4 = 10;
        ESP_NULL = 11;
        ESP_AES = 12;
        ESP_AES_CTR = 13;
        ESP_AES_CCM_8 = 14;
        ESP_AES_CCM_12 = 15;
        ESP_AES_CCM_16 = 16;
        ESP_AES_GCM_8 = 18;
        ESP_AES_GCM_12 = 19;
        ESP_AES_GCM_16 = 20;
    }
    IPCOMP {
        IPCOMP_OUI = 1;
        IPCOMP_DEFLATE = 2;
        IPCOMP_LZS = 3;
    }
}

/// `transform 3`: the name needs the protocol, see [`TransformId::name`].
impl fmt::Display for TransformId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transform {}", self.0)
    }
}

code_points! {
    /// The cipher of phase 1 (RFC 2409 App. A, RFC 3602 §5.3).
    EncryptionAlgorithm(u16), "encryption algorithm" {
        DES_CBC = 1, "DES-CBC";
        IDEA_CBC = 2, "IDEA-CBC";
        BLOWFISH_CBC = 3, "Blowfish-CBC";
        RC5_CBC = 4, "RC5-CBC";
        TRIPLE_DES_CBC = 5, "3DES-CBC";
        CAST_CBC = 6, "CAST-CBC";
        AES_CBC = 7, "AES-CBC";
        CAMELLIA_CBC = 8, "Camellia-CBC";
    }
}

code_points! {
    /// The hash of phase 1, whose HMAC is also the prf (RFC 2409 App. A).
    HashAlgorithm(u16), "hash algorithm" {
        MD5 = 1, "MD5";
        SHA = 2, "SHA";
        TIGER = 3, "Tiger";
        SHA2_256 = 4, "SHA256";
        SHA2_384 = 5, "SHA384";
        SHA2_512 = 6, "SHA512";
    }
}

code_points! {
    /// How phase 1 authenticates (RFC 2409 App. A).
    AuthenticationMethod(u16), "authentication method" {
        PRE_SHARED_KEY = 1, "pre-share";
        DSS_SIGNATURES = 2, "DSS-sig";
        RSA_SIGNATURES = 3, "RSA-sig";
        RSA_ENCRYPTION = 4, "RSA-encr";
        REVISED_RSA_ENCRYPTION = 5, "revised RSA-encr";
        ECDSA_P256 = 9, "ECDSA-sig P-256";
        ECDSA_P384 = 10, "ECDSA-sig P-384";
        XAUTH_INIT_PRE_SHARED_KEY = 65001, "XAUTHInitPreShared";
        XAUTH_RESPOND_PRE_SHARED_KEY = 65002, "XAUTHRespPreShared";
    }
}

code_points! {
    /// A Diffie-Hellman group (RFC 2409 §6, RFC 3526, RFC 5903, RFC 5114).
    GroupDescription(u16), "group" {
        MODP_768 = 1, "MODP-768";
        MODP_1024 = 2, "MODP-1024";
        EC2N_155 = 3, "EC2N-155";
        EC2N_185 = 4, "EC2N-185";
        MODP_1536 = 5, "MODP-1536";
        MODP_2048 = 14, "MODP-2048";
        MODP_3072 = 15, "MODP-3072";
        MODP_4096 = 16, "MODP-4096";
        MODP_6144 = 17, "MODP-6144";
        MODP_8192 = 18, "MODP-8192";
        ECP_256 = 19, "ECP-256";
        ECP_384 = 20, "ECP-384";
        ECP_521 = 21, "ECP-521";
        MODP_1024_160 = 22, "MODP-1024-160";
        MODP_2048_224 = 23, "MODP-2048-224";
        MODP_2048_256 = 24, "MODP-2048-256";
    }
}

code_points! {
    /// What a life duration counts. The same in both phases (RFC 2409 App. A, RFC 2407 §4.5).
    LifeType(u16), "life type" {
        SECONDS = 1, "seconds";
        KILOBYTES = 2, "kilobytes";
    }
}

code_points! {
    /// How ESP wraps a packet (RFC 2407 §4.5, RFC 3947 §5.1; 61443 and 61444 of its drafts 00
    /// to 03).
    EncapsulationMode(u16), "encapsulation mode" {
        TUNNEL = 1, "Tunnel";
        TRANSPORT = 2, "Transport";
        UDP_TUNNEL = 3, "Tunnel-UDP";
        UDP_TRANSPORT = 4, "Transport-UDP";
        UDP_TUNNEL_DRAFT = 61443, "Tunnel-UDP (draft)";
        UDP_TRANSPORT_DRAFT = 61444, "Transport-UDP (draft)";
    }
}

code_points! {
    /// The integrity algorithm of ESP or AH (RFC 2407 §4.5, RFC 4868 §2.7).
    AuthenticationAlgorithm(u16), "authentication algorithm" {
        HMAC_MD5 = 1, "HMAC-MD5";
        HMAC_SHA = 2, "HMAC-SHA";
        DES_MAC = 3, "DES-MAC";
        KPDK = 4, "KPDK";
        HMAC_SHA2_256 = 5, "HMAC-SHA256";
        HMAC_SHA2_384 = 6, "HMAC-SHA384";
        HMAC_SHA2_512 = 7, "HMAC-SHA512";
        HMAC_RIPEMD = 8, "HMAC-RIPEMD";
        AES_XCBC_MAC = 9, "AES-XCBC-MAC";
    }
}
