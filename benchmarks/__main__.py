"""`make bench`: every benchmark, one after the other, each in a process of its own so that memory is its own."""

import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"__init__", "__main__", "record", "postgres_cdm", "effect_simulated", "flower_secagg"}
NEEDS_MORE = {"postgres", "cohort_reference"}
"""Run by hand, with a server's address or with files that the repository doesn't have."""


def main() -> int:
    names = sorted(
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path.stem not in NOT_BENCHMARKS | NEEDS_MORE
    )
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print("failed:", ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
