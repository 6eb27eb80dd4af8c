"""Envelopes: bytes, their type and who signed them (DSSE v1, Ed25519).

Responsible for: signing and verifying the exact bytes. Not responsible for: what they mean, whose key is trusted
(`directory`), where private keys live.

Source: DSSE protocol v1.0.2 (secure-systems-lab/dsse), pre-authentication encoding.
"""

import base64
import hashlib
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dure.wire.codec import decode, digest, encode, message
from dure.wire.problems import Problem

T = TypeVar("T")
MEDIA_TYPE = "application/vnd.dure.{}+json"


class Forged(Problem):
    """A signature that is missing, doesn't verify or is by the wrong key."""

    slug, title, status, exit_code = "forged", "The signature does not hold", 401, 51


class BadKey(Problem):
    """Text that should be a key and isn't."""

    slug, title, status, exit_code = "bad-key", "This is not an Ed25519 key", 422, 52


@message
class Signature:
    """One signature. `keyid` is a hint (the fingerprint); trust comes from the key that verifies."""

    keyid: str
    sig: bytes


@message
class Envelope:
    """DSSE: `payload` bytes of type `payloadType`, and their signatures."""

    payloadType: str  # noqa: N815 - the specification's name
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def digest(self) -> str:
        """The content id of the payload, by which permits and manifests bind it."""
        return digest(self.payload)


def _pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(value: object, name: str, *keys: Ed25519PrivateKey) -> Envelope:
    """Encode a message and sign its bytes with each key. `name` is the message's type, such as "permit"."""
    payload, payload_type = encode(value), MEDIA_TYPE.format(name)
    signed = _pre_authentication_encoding(payload_type, payload)
    return Envelope(
        payloadType=payload_type,
        payload=payload,
        signatures=tuple(
            Signature(keyid=fingerprint(public_text(key)), sig=key.sign(signed)) for key in keys
        ),
    )


def countersign(envelope: Envelope, key: Ed25519PrivateKey) -> Envelope:
    """The envelope with one more signature over the same bytes, in place of an earlier one by the same key."""
    signed = _pre_authentication_encoding(envelope.payloadType, envelope.payload)
    mine = Signature(keyid=fingerprint(public_text(key)), sig=key.sign(signed))
    others = tuple(entry for entry in envelope.signatures if entry.keyid != mine.keyid)
    return Envelope(payloadType=envelope.payloadType, payload=envelope.payload, signatures=(*others, mine))


def open_sealed(kind: type[T], envelope: Envelope, name: str, *keys: str, where: str) -> T:
    """The message in an envelope, once *every* one of `keys` is shown to have signed its exact bytes.

    Raises:
        Forged: no key given, a type other than `name`, or a key without a valid signature.
        Malformed: the signed bytes aren't a `kind`.
    """
    if envelope.payloadType != MEDIA_TYPE.format(name):
        raise Forged(
            f"The envelope holds {envelope.payloadType!r}, not a {name}.",
            where=where,
            mend=f"Send a signed {name}.",
        )
    if not keys:
        raise Forged("No key was given to verify against.", where=where, mend="Pin the signer's key first.")
    signed = _pre_authentication_encoding(envelope.payloadType, envelope.payload)
    for key in keys:
        if not any(_verifies(key, entry.sig, signed) for entry in envelope.signatures):
            raise Forged(
                f"No valid signature by the key {fingerprint(key)}.",
                where=where,
                mend="Sign with that key; if the key was changed, enrol the new one first.",
            )
    return decode(kind, envelope.payload, where=where)


def peek(kind: type[T], envelope: Envelope, *, where: str) -> T:
    """The message in an envelope, *unverified*: to show it, or to learn whose key to verify with."""
    return decode(kind, envelope.payload, where=where)


def _verifies(key: str, signature: bytes, signed: bytes) -> bool:
    try:
        public_key(key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def public_text(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """A public key as text: base64 of its 32 bytes."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return base64.b64encode(public.public_bytes_raw()).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """The public key that `public_text` wrote.

    Raises:
        BadKey: not base64 of 32 bytes.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except ValueError:
        raise BadKey(
            "The text is not a public key.", where=text[:60], mend="Give base64 of 32 bytes."
        ) from None


def fingerprint(text: str) -> str:
    """What people read to each other: the first 80 bits of the key's SHA-256, as five groups of four."""
    digits = hashlib.sha256(base64.b64decode(text)).hexdigest()[:20].upper()
    return "-".join(digits[i : i + 4] for i in range(0, 20, 4))
