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
