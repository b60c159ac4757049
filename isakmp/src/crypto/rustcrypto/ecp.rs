//! The random ECP groups 19 and 20 (RFC 5903).
