"""ESP (RFC 4303) as the other end seals and opens it; no code of ours that is under test."""
import hmac
import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:
    TripleDES = algorithms.TripleDES

# charon's name: cipher, octets of block and IV
CIPHERS = {"3DES_CBC": (TripleDES, 8, 8), "AES_CBC": (algorithms.AES, 16, 16), "AES_GCM_16": (AESGCM, 4, 8), "NULL": (None, 4, 0)}
# charon's name: hash, octets of ICV
MACS = {"HMAC_MD5_96": ("md5", 12), "HMAC_SHA1_96": ("sha1", 12), "HMAC_SHA2_256_128": ("sha256", 16),
        "HMAC_SHA2_384_192": ("sha384", 24), "HMAC_SHA2_512_256": ("sha512", 32)}


class Refused(Exception):
    """The packet does not open; the text says why."""


class Keys:
    """One direction of a pair: `encryption` with the salt of an AEAD at its end."""

    def __init__(self, cipher: str, mac: str | None, encryption: bytes, integrity: bytes):
        self._name, (self._cipher, self._block, self._iv) = cipher, CIPHERS[cipher]
        self._mac, self._icv = MACS[mac] if mac else (None, 16)
        self._encryption, self._integrity = encryption, integrity

    def _cbc(self, iv: bytes):
        return Cipher(self._cipher(self._encryption), modes.CBC(iv))

    def _tag(self, data: bytes) -> bytes:
        return hmac.digest(self._integrity, data, self._mac)[:self._icv]

    def seal(self, spi: int, sequence: int, next_header: int, payload: bytes) -> bytes:
        pad = -(len(payload) + 2) % self._block
        plain = payload + bytes(range(1, pad + 1)) + bytes([pad, next_header])
        header, iv = struct.pack(">II", spi, sequence), os.urandom(self._iv)
        if self._cipher is AESGCM:
            return header + iv + AESGCM(self._encryption[:-4]).encrypt(self._encryption[-4:] + iv, plain, header)
        if self._cipher:
            encryptor = self._cbc(iv).encryptor()
            plain = encryptor.update(plain) + encryptor.finalize()
        return header + iv + plain + self._tag(header + iv + plain)

    def open(self, packet: bytes) -> tuple[int, bytes]:
        """Next header and payload."""
        header, iv, body = packet[:8], packet[8:8 + self._iv], packet[8 + self._iv:]
        if self._cipher is AESGCM:
            try:
                plain = AESGCM(self._encryption[:-4]).decrypt(self._encryption[-4:] + iv, body, header)
            except InvalidTag:
                raise Refused("ICV") from None
        else:
            if not hmac.compare_digest(self._tag(packet[:-self._icv]), packet[-self._icv:]):
                raise Refused("ICV")
            plain = body[:-self._icv]
            if not plain or len(plain) % self._block:
                raise Refused("length")
            if self._cipher:
                decryptor = self._cbc(iv).decryptor()
                plain = decryptor.update(plain) + decryptor.finalize()
        pad = plain[-2]
        if pad + 2 > len(plain) or plain[len(plain) - 2 - pad:-2] != bytes(range(1, pad + 1)):
            raise Refused("padding")
        return plain[-1], plain[:len(plain) - 2 - pad]
