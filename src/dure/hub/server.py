"""Running a hub: opening it for the operator's commands, serving it over HTTP.

Responsible for: one process with one event loop; more processes are more of these, on one PostgreSQL. Not responsible
for: what is served (`app`), printing (the command line).
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

from dure.hub import settings
from dure.hub.hub import Hub
from dure.hub.problems import BadSettings
from dure.hub.store.database import open_store
from dure.hub.store.migrations import upgrade

SHUTDOWN_SECONDS = 3
"""Held polls end with the process; nodes simply poll again."""


def make(folder: Path, *, database: str | None, root_key: str | None) -> Path:
    """A new hub: its empty database first, then its settings, so that a failure leaves no hub behind.

    Raises:
        BadSettings: there is one already, or the database can't be reached. BadKey: the root's key is none.
    """
    settings.prepare(folder)
    wanted = settings.Settings(database=database or settings.default_database(folder), root_key=root_key)
    with opened(wanted):
        return settings.write(folder, database=database, root_key=root_key)


@contextmanager
def opened(wanted: settings.Settings) -> Iterator[Hub]:
    """A hub for the operator's commands, beside a serving one or not.

    Raises:
        BadSettings: the database can't be reached.
    """
    store = open_store(wanted.database)
    try:
        upgrade(store.engine)
        yield Hub(settings=wanted, store=store)
    except OperationalError as error:
        raise unreachable(error) from None
    finally:
        store.close()


def unreachable(error: OperationalError) -> BadSettings:
    """What is said where the database doesn't open."""
    return BadSettings(
        f"The database does not open: {str(error.orig).splitlines()[0]}",
        where="database (or DURE_HUB_DATABASE)",
        mend="Check its address, that the server runs, and that this user may write there.",
    )


def serve(
    app: FastAPI,
    *,
    host: str,
    port: int,
    certificate: Path | None = None,
    key: Path | None = None,
    proxy: str | None = None,
) -> None:
    """Serve until a signal ends it.

    Args:
        certificate, key: PEM files, to speak TLS here; without them a proxy in front does.
        proxy: the address of that proxy, whose X-Forwarded headers are believed.

    Raises:
        BadSettings: one of the two files without the other, or the port is taken.
    """
    if (certificate is None) != (key is None):
        raise BadSettings(
            "TLS needs both files.", where="--certificate, --key", mend="Give both, or neither."
        )
    for name, file in (("--certificate", certificate), ("--key", key)):
        if file is not None and not file.is_file():
            raise BadSettings(f"There is no file {file}.", where=name, mend="Give a PEM file.")
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            app,
            ws="none",
            access_log=False,
            server_header=False,
            log_level="info",
            ssl_certfile=certificate,
            ssl_keyfile=key,
            proxy_headers=proxy is not None,
            forwarded_allow_ips=proxy,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket, named TCP outright: only then does asyncio send small answers without delay."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise BadSettings(
                f"The hub cannot listen on {host}:{port}: {error.strerror}.",
                where="--host, --port",
                mend="Choose another port, or end the program that has it.",
            ) from None
        yield listener
