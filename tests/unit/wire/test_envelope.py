"""A signature holds for exact bytes of one type by one key."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.wire.envelope import (
    BadKey,
    Forged,
    Signature,
    _pre_authentication_encoding,
    open_sealed,
    public_key,
    public_text,
    seal,
)
from dure.wire.rules import Rules

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
SEALED = seal(Rules(), "rules", KEY)


def test_the_encoding_is_the_specification_s():
    """The example of the DSSE protocol document."""
    assert _pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_signer_is_believed():
    assert open_sealed(Rules, SEALED, "rules", public_text(KEY), where="test") == Rules()


def test_every_key_asked_for_must_have_signed():
    both = seal(Rules(), "rules", KEY, OTHER)
    assert open_sealed(Rules, both, "rules", public_text(OTHER), public_text(KEY), where="test") == Rules()
    with pytest.raises(Forged):
        open_sealed(Rules, SEALED, "rules", public_text(KEY), public_text(OTHER), where="test")


@pytest.mark.parametrize(
    "forged",
    [
        replace(SEALED, payload=SEALED.payload + b" "),
        replace(SEALED, payload=SEALED.payload.replace(b"11", b"12")),
        replace(SEALED, payloadType="application/vnd.dure.permit+json"),
        replace(SEALED, signatures=()),
        replace(SEALED, signatures=(Signature(keyid=SEALED.signatures[0].keyid, sig=b"\x00" * 64),)),
        seal(Rules(), "rules", OTHER),
    ],
)
def test_anything_else_is_forged(forged):
    with pytest.raises(Forged):
        open_sealed(Rules, forged, "rules", public_text(KEY), where="test")


def test_without_a_key_nothing_is_believed():
    with pytest.raises(Forged):
        open_sealed(Rules, SEALED, "rules", where="test")


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "QUJD" * 20])
def test_a_key_is_32_bytes_in_base64(text):
    with pytest.raises(BadKey):
        public_key(text)
