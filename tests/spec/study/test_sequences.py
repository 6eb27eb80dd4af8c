"""From stays in events to sequences, drawn: a letter a day, one line an event."""

import numpy as np
import pytest

from dure.features.sequences import Rules, sequence, sequences
from dure.features.time_at_risk import Spans

PLAIN = Rules(gap=0, least_days=1, window=0, repeats=True)


def spans(line):
    """`..AAA.A` as stays of days (first, last); a bar parts two stays that touch."""
    found, start, day = [], None, 0
    for mark in line + ".":
        if mark == "|":
            found.append((start, day - 1))
            start = day
            continue
        if mark != "." and start is None:
            start = day
        if mark == "." and start is not None:
            found.append((start, day - 1))
            start = None
        day += 1
    return found


def told(steps):
    return " > ".join(
        "+".join(name for bit, name in enumerate("AB C".replace(" ", "")) if step >> bit & 1)
        for step in steps
    )


@pytest.mark.parametrize(
    ("lines", "changes", "steps", "why"),
    [
        (["AAAA....", "........"], {}, "A", "one event"),
        (["........", "........"], {}, "", "none"),
        (["AAAA....", "....BBBB"], {}, "A > B", "one after the other"),
        (["AAAAAA..", "....BBBB"], {}, "A > A+B > B", "both for two days"),
        (["AAAAAAAA......", "......BBBBBBBB"], {"window": 3}, "A > B", "two days together are no combination"),
        (["AAAAAA..", ".BBBBB.."], {"window": 2}, "A+B", "a start a day later counts as the same"),
        (["AAAAAA..", ".BBBBB.."], {"window": 1}, "A > A+B", "a day is not less than a day"),
        (["AAAAAAAA", "..BBB..."], {}, "A > A+B > A", "B is added, then stopped"),
        (["AAAAAAAA", "..BBB..."], {"repeats": False}, "A > A+B", "A for the first time only"),
        (["AA..AA..", "........"], {}, "A", "A again after nothing is no new step"),
        (["AA....AA", "..BB...."], {}, "A > B > A", "A again after B"),
        (["AA....AA", "..BB...."], {"repeats": False}, "A > B", "but not when repeats don't count"),
        (["AA....AA", "..BB...."], {"gap": 4}, "A > A+B > A", "four days of none are bridged"),
        (["AA....AA", "..BB...."], {"gap": 3}, "A > B > A", "four days are more than three"),
        (["A.AAA...", ".....BBB"], {"least_days": 3}, "A > B", "a day of A is too short"),
        (["A.AAA...", ".....BBB"], {"least_days": 4}, "", "nothing lasts four days"),
        (["A.AAA...", ".....BBB"], {"least_days": 4, "gap": 1}, "A", "joined, A lasts five days"),
        (["AA|AA...", "....BBBB"], {}, "A > B", "stays that touch are one"),
        (["AAAA....", "AAAA....", "AAAA...."], {}, "A+B+C", "three at once"),
        (["AAA.....", "........", "...CC..."], {"window": 30}, "", "everything within one window is no time at all"),
    ],
)  # fmt: skip
def test_sequences(lines, changes, steps, why):
    rules = Rules(**{**PLAIN.__dict__, **changes})
    assert told(sequence([spans(line) for line in lines], rules)) == steps, why


def test_only_what_starts_in_the_stay_counts():
    day = np.datetime64("2020-01-01")

    def made(*rows):
        person, start, end = zip(*rows, strict=True) if rows else ((), (), ())
        return Spans(
            person=np.array(person, dtype=np.int64),
            start=day + np.array(start, dtype="timedelta64[D]"),
            end=day + np.array(end, dtype="timedelta64[D]"),
        )

    entries = made((7, 10, 20), (3, 0, 5), (9, 0, 100))
    events = [made((7, 9, 30), (7, 12, 90), (3, 5, 9), (4, 1, 2)), made((7, 20, 40), (3, 6, 9)), made()]
    assert sequences(entries, events, PLAIN) == [(1, 3, 1), (1,), ()]
