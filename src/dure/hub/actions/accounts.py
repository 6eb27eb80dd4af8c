"""Organisations, their users, sign-in and tokens.

Responsible for: who a token belongs to, and that passwords and tokens are kept only as hashes. Not responsible for: keys
of members (the directory), what a role may see (each action asks).
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Row, delete, insert, select, update

from dure.hub.problems import NotAllowed, NotSignedIn, Settled, TooManyAttempts, Unknown
from dure.hub.store.tables import attempts, organisations, tokens, users
from dure.hub.store.work import Work
from dure.wire.answers import Session
from dure.wire.codec import Malformed, message

MOST_FAILURES = 5
FAILURE_WINDOW = timedelta(minutes=15)
LEAST_PASSWORD = 12
MOST_PASSWORD = 1024
ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


class UserRole(StrEnum):
    """What a user is at this hub."""

    ASKER = "asker"
    REGULATOR = "regulator"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A signed-in user."""

    id: int
    email: str
    organisation: str
    role: UserRole

    @property
    def who(self) -> str:
        """How the audit log names it: no e-mail address goes into a log that can't forget."""
        return f"{self.organisation}/user {self.id}"


@message
class Credentials:
    """What a user signs in with."""

    email: str
    password: str


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    """A hash to verify against where there is no such user, so that both cases take the same time."""
    return _hasher().hash(secrets.token_urlsafe())


def add_organisation(work: Work, *, name: str, title: str, now: datetime) -> None:
    """Add an organisation whose users may sign in.

    Raises:
        Malformed: `name` is no id. Settled: it is there already.
    """
    _check(ID, name, "id of the organisation", "Use lower-case letters, digits and hyphens.")
    work.lock("organisations")
    if work.one(select(organisations.c.id).where(organisations.c.id == name)):
        raise Settled(f"The organisation {name!r} is there already.", where=name, mend="Choose another id.")
    work.write(insert(organisations).values(id=name, name=title, created=now))
    work.record("organisation added", who="admin", at=now, organisation=name)


def list_organisations(work: Work) -> list[tuple[str, str]]:
    """Ids and names."""
    return [(row.id, row.name) for row in work.rows(select(organisations).order_by(organisations.c.id))]


def hash_password(password: str) -> str:
    """A salted argon2id hash: slow on purpose, so it is computed outside of any transaction.

    Raises:
        Malformed: too short or too long.
    """
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise Malformed(
            f"The password has {len(password)} characters.",
            where="password",
            mend=f"Choose one of {LEAST_PASSWORD} to {MOST_PASSWORD} characters.",
        )
    return _hasher().hash(password)


def add_user(
    work: Work, *, email: str, organisation: str, role: UserRole, password_hash: str, now: datetime
) -> int:
    """Add a user to an organisation; its number.

    Raises:
        Malformed: no e-mail address. Settled: it is taken. Unknown: no such organisation.
    """
    email = email.strip().lower()
    _check(EMAIL, email, "e-mail address", "Write it like name@example.org.")
    work.lock("users")
    if work.one(select(organisations.c.id).where(organisations.c.id == organisation)) is None:
        raise Unknown(
            f"There is no organisation {organisation!r}.",
            where="organisation",
            mend=f"Add it first: dure hub org add {organisation} NAME",
        )
    if work.one(select(users.c.id).where(users.c.email == email)):
        raise Settled("A user with this address is there already.", where=email, mend="Use another address.")
    work.write(
        insert(users).values(
            email=email,
            organisation=organisation,
            role=role.value,
            password=password_hash,
            active=True,
            created=now,
        )
    )
    row = work.one(select(users.c.id).where(users.c.email == email))
    assert row is not None
    number = int(row.id)
    work.record(
        "user added", who="admin", at=now, organisation=organisation, user=str(number), role=role.value
    )
    return number


def close_user(work: Work, *, email: str, now: datetime) -> None:
    """A user may no longer sign in, and every token of it ends. Raises Unknown where there is none."""
    row = work.one(select(users).where(users.c.email == email.strip().lower()))
    if row is None:
        raise Unknown(f"There is no user {email!r}.", where="email", mend="dure hub user list shows them.")
    work.write(update(users).where(users.c.id == row.id).values(active=False))
    work.write(update(tokens).where(tokens.c.user == row.id, tokens.c.revoked.is_(None)).values(revoked=now))
    work.record("user closed", who="admin", at=now, organisation=row.organisation, user=str(row.id))


def list_users(work: Work) -> list[tuple[Person, bool]]:
    """Everyone, and whether they may sign in."""
    return [
        (_person(row), row.active)
        for row in work.rows(select(users).order_by(users.c.organisation, users.c.email))
    ]


def may_try(work: Work, *, email: str, address: str, now: datetime) -> None:
    """Raise TooManyAttempts where sign-ins for this account from this address failed too often."""
    row = work.one(select(attempts).where(attempts.c.key == _attempt(email, address)))
    if row is not None and row.failures >= MOST_FAILURES and now < row.since + FAILURE_WINDOW:
        raise TooManyAttempts(
            f"{row.failures} sign-ins failed.",
            where="email, password",
            mend=f"Wait until {row.since + FAILURE_WINDOW:%H:%M} UTC; then check the password.",
        )


def check_password(work: Work, credentials: Credentials) -> Person | None:
    """The user, if the password is right. Slow on purpose."""
    row = work.one(select(users).where(users.c.email == credentials.email.strip().lower()))
    known = row if row is not None and row.active else None
    try:
        _hasher().verify(_nobody() if known is None else known.password, credentials.password)
    except (VerifyMismatchError, InvalidHashError):
        return None
    return None if known is None else _person(known)


def note_failure(work: Work, *, email: str, address: str, now: datetime) -> None:
    """Count a failed sign-in."""
    key = _attempt(email, address)
    work.lock(key)
    row = work.one(select(attempts).where(attempts.c.key == key))
    if row is None:
        work.write(insert(attempts).values(key=key, failures=1, since=now))
    elif now >= row.since + FAILURE_WINDOW:
        work.write(update(attempts).where(attempts.c.key == key).values(failures=1, since=now))
    else:
        work.write(update(attempts).where(attempts.c.key == key).values(failures=row.failures + 1))


def wrong_password() -> NotSignedIn:
    """What is said of every failed sign-in: not which half was wrong."""
    return NotSignedIn(
        "The e-mail address or the password is wrong.",
        where="email, password",
        mend="Try again; the hub's operator can set a new password.",
    )


def open_session(work: Work, person: Person, *, address: str, hours: int, now: datetime) -> Session:
    """A new token for a user whose password was right."""
    token = secrets.token_urlsafe(32)
    expires = now + timedelta(hours=hours)
    work.write(delete(attempts).where(attempts.c.key == _attempt(person.email, address)))
    work.write(insert(tokens).values(hash=_hash(token), user=person.id, created=now, expires=expires))
    work.record("signed in", who=person.who, at=now)
    return Session(token=token, expires=expires)


def who(work: Work, token: str, *, now: datetime) -> Person:
    """Whose token this is.

    Raises:
        NotSignedIn: nobody's, or it has ended.
    """
    query = select(users, tokens.c.expires, tokens.c.revoked).join(tokens, tokens.c.user == users.c.id)
    row = work.one(query.where(tokens.c.hash == _hash(token)))
    if row is None or not row.active or row.revoked is not None:
        raise NotSignedIn("The token is not valid.", where="Authorization", mend="Sign in: POST /v1/sessions")
    if now >= row.expires:
        raise NotSignedIn(
            f"The sign-in ended at {row.expires:%Y-%m-%d %H:%M} UTC.",
            where="Authorization",
            mend="Sign in again.",
        )
    return _person(row)


def close_session(work: Work, token: str, *, now: datetime) -> None:
    """End a token. Raises NotSignedIn where it is nobody's."""
    person = who(work, token, now=now)
    work.write(update(tokens).where(tokens.c.hash == _hash(token)).values(revoked=now))
    work.record("signed out", who=person.who, at=now)


def require(person: Person, *roles: UserRole, where: str) -> None:
    """Raise NotAllowed where the user has none of the roles."""
    if person.role not in roles:
        raise NotAllowed(
            f"This is for a user with the role {' or '.join(roles)}; yours is {person.role}.",
            where=where,
            mend="Ask the hub's operator for such an account.",
        )


def _person(row: Row[Any]) -> Person:
    return Person(
        id=row.id,
        email=row.email,
        organisation=row.organisation,
        role=UserRole(row.role),
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _attempt(email: str, address: str) -> str:
    return hashlib.sha256(f"{email.strip().lower()}\n{address}".encode()).hexdigest()


def _check(pattern: re.Pattern[str], text: str, what: str, mend: str) -> None:
    if not pattern.fullmatch(text):
        raise Malformed(f"{text[:80]!r} is no {what}.", where=what, mend=mend)
