"""What a hospital's board declares of its dataset.

Responsible for: making the declaration so coarse that it speaks of nobody: people to two digits, dates to whole years.
Not responsible for: whether it is true; the board signs it.
"""

from datetime import date, datetime

from dure.engines import open_engine
from dure.engines.dataset import Dataset
from dure.engines.problems import NotACdm
from dure.wire.messages import DatasetDeclaration, Provenance


def look(cdm: str) -> Dataset:
    """What the database says of itself. Raises the engine's Problems."""
    with open_engine(cdm, memory="512MB", threads=1) as engine:
        return engine.dataset


def declare(
    dataset: Dataset, *, hospital: str, provenance: Provenance, where: str, now: datetime
) -> DatasetDeclaration:
    """The declaration of a dataset.

    Raises:
        NotACdm: nobody is ever observed in it.
    """
    if dataset.first_date is None or dataset.last_date is None:
        raise NotACdm(
            "The database has no observation period, so no study can be answered from it.",
            where=where,
            mend="Load observation_period.",
        )
    return DatasetDeclaration(
        hospital=hospital,
        dataset_version=dataset.version,
        cdm_version=dataset.cdm_version,
        provenance=provenance,
        people_about=two_digits(dataset.persons),
        first_date=date(dataset.first_date.year, 1, 1),
        last_date=date(dataset.last_date.year, 12, 31),
        declared=now,
    )


def two_digits(people: int) -> int:
    """A number rounded to its first two digits: 20,417 is about 20,000."""
    step: int = 10 ** max(len(str(people)) - 2, 0)
    return (people + step // 2) // step * step
