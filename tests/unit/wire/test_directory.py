"""A directory is believed while it is fresh, newest and the root's."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dure.wire.directory import Directory, Untrusted, open_directory
from dure.wire.envelope import Forged, public_text, seal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def opened(*, key=ROOT, version=3, issued=NOW, lasts=1, least=3):
    told = Directory(version=version, issued=issued, expires=issued + timedelta(days=lasts), members=())
    return open_directory(
        seal(told, "directory", key), root=public_text(ROOT), now=NOW, least_version=least, where="test"
    )


def test_the_root_s_newest_is_believed():
    assert opened().version == 3


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"key": OTHER}, Forged),
        ({"least": 4}, Untrusted),
        ({"issued": NOW - timedelta(days=2)}, Untrusted),
        ({"issued": NOW + timedelta(hours=1)}, Untrusted),
    ],
)
def test_anything_else_is_not(changed, problem):
    with pytest.raises(problem):
        opened(**changed)


def test_a_stranger_is_named():
    with pytest.raises(Untrusted, match="nobody"):
        opened().member("nobody", where="test")
