"""What the linter finds in a set of definitions: `python -m benchmarks.lint ARCHIVE.zip`, a zip with `.../phenotypes/*.json`.

Counts findings and definitions by check. Made of OHDSI's phenotype library, which people wrote and reviewed: a critical finding
there would be a false alarm until shown otherwise.
"""

import sys
import zipfile
from collections import Counter

from benchmarks.record import record
from dure.cohort.lint import CHECKS, lint


def measure(archive: str) -> list[dict]:
    findings, definitions = Counter(), Counter()
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if "/phenotypes/" in name and name.endswith(".json")]
        for name in names:
            found = [each.check.id for each in lint(file.read(name))]
            findings.update(found)
            definitions.update(set(found))
    return [
        {
            "check": each.id,
            "severity": str(each.severity),
            "findings": findings[each.id],
            "definitions": definitions[each.id],
            "of": len(names),
        }
        for each in CHECKS
    ]


if __name__ == "__main__":
    record("lint", measure(sys.argv[1]))
