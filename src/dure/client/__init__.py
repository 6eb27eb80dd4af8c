"""The asker's program: submit, watch, read. `dure.connect` is its door."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from dure.client.connection import Client


def connect(
    url: str | None = None,
    token: str | None = None,
    *,
    root: str | None = None,
    key: "Ed25519PrivateKey | Path | str | None" = None,
    patience: float = 30,
) -> "Client":
    """A connection to a hub.

    What isn't given is taken from the environment (DURE_HUB, DURE_TOKEN, DURE_ROOT), then from `dure study login`.

    Args:
        root: the root's public key, by which the hub's directory is checked.
        key: the asker's key, or its file.
        patience: for how many seconds to go on trying while the hub doesn't answer.

    Raises:
        NoSignIn: no address or token.
        BadAddress: an address without TLS that isn't this machine.
    """
    from dure.client import login
    from dure.client.connection import Client
    from dure.client.transport import Transport

    found = login.found(hub=url, token=token, root=root)
    transport = Transport(found.hub, found.token, patience=patience)
    return Client(transport, root=found.root, key=key, least_version=found.directory_version)
