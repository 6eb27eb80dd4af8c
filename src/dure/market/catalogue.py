"""The catalogue: what a hospital's signed declaration lets others see, as data, and a search over it.

Responsible for: listings. Not responsible for: who signed a declaration (verified before), numbers beyond it (they need
a permit like any other).
"""

from collections.abc import Iterable
from datetime import date

from dure.wire.codec import message
from dure.wire.directory import Member
from dure.wire.messages import DatasetDeclaration, Provenance


@message
class Listing:
    """One hospital in the catalogue. What its board hasn't declared is None.

    Attributes:
        people_about: rounded by the hospital before it left.
    """

    hospital: str
    name: str
    affiliation: str
    dataset_version: str | None = None
    cdm_version: str | None = None
    provenance: Provenance | None = None
    people_about: int | None = None
    first_date: date | None = None
    last_date: date | None = None


def listing(member: Member, declaration: DatasetDeclaration | None) -> Listing:
    """A hospital's line."""
    if declaration is None:
        return Listing(hospital=member.id, name=member.name, affiliation=member.affiliation)
    return Listing(
        hospital=member.id,
        name=member.name,
        affiliation=member.affiliation,
        dataset_version=declaration.dataset_version,
        cdm_version=declaration.cdm_version,
        provenance=declaration.provenance,
        people_about=declaration.people_about,
        first_date=declaration.first_date,
        last_date=declaration.last_date,
    )


def search(
    listings: Iterable[Listing],
    *,
    text: str = "",
    provenance: Provenance | None = None,
    least_people: int = 0,
    covers: tuple[date, date] | None = None,
) -> tuple[Listing, ...]:
    """Listings that fit all that is asked, largest first. A hospital that hasn't declared something doesn't fit it.

    Args:
        text: part of the id, name or affiliation, in any case.
        covers: a first and last day that the data must reach over.
    """

    def fits(line: Listing) -> bool:
        words = f"{line.hospital} {line.name} {line.affiliation}".casefold()
        return (
            text.casefold().strip() in words
            and (provenance is None or line.provenance is provenance)
            and (least_people <= 0 or (line.people_about or 0) >= least_people)
            and (covers is None or _reaches(line, covers))
        )

    return tuple(sorted(filter(fits, listings), key=lambda line: (-(line.people_about or 0), line.hospital)))


def _reaches(line: Listing, days: tuple[date, date]) -> bool:
    if line.first_date is None or line.last_date is None:
        return False
    return line.first_date <= days[0] and days[1] <= line.last_date
