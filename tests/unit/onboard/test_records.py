"""Records and their lines, against Python's csv module as the referee, with blocks made small."""

import csv
from io import BytesIO, StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dure.onboard import records
from dure.onboard.records import Block, Records

field = st.text(st.sampled_from('ab,"\n\t 가é'), max_size=6)
rows = st.lists(st.lists(field, min_size=3, max_size=3), max_size=30)


def blocks(data: bytes, size: int, *, delimiter: str = ",", quoting: bool = True) -> list[Block]:
    stream = BytesIO(data)

    class Small:
        def read(self, _: int) -> bytes:
            return stream.read(size)

    return list(Records(Small(), delimiter=delimiter, quoting=quoting).blocks())


def told(found: list[Block]) -> list[tuple[int, list[str]]]:
    """Each good record with its line."""
    out = []
    for block in found:
        parsed = csv.reader(StringIO(block.data.decode(), newline=""), strict=True)
        records_ = list(parsed)
        assert len(records_) == len(block.lines)
        out += [
            (int(line), row)
            for at, (line, row) in enumerate(zip(block.lines, records_, strict=True))
            if at not in set(block.blank.tolist())
        ]
    return out


@settings(max_examples=300, deadline=None)
@given(
    rows,
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 64),
)
def test_well_formed_files_come_whole_whatever_the_blocks(
    table: list[list[str]], quoting: int, end: str, size: int
) -> None:
    out = StringIO()
    write = csv.writer(out, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    expected = []
    for row in table:
        expected.append((2 + out.getvalue().count("\n"), row))
        write.writerow(row)
    found = blocks(out.getvalue().encode(), size)
    assert told(found) == expected
    assert not any(block.faults for block in found)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.sampled_from('ab,"'), max_size=8), max_size=20), st.integers(1, 40))
def test_every_line_of_a_spoiled_file_is_told_once(lines: list[str], size: int) -> None:
    data = "".join(line + "\n" for line in lines).encode()
    found = blocks(data, size)
    covered: list[int] = []
    for line, row in told(found):
        covered += range(line, line + 1 + sum(text.count("\n") for text in row))
    covered += [fault.line for block in found for fault in block.faults]
    wanted = [2 + at for at, line in enumerate(lines) if line]
    assert sorted(set(covered) & set(wanted)) == wanted
    assert len(covered) == len(set(covered))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 50), st.integers(1, 200))
def test_one_open_quote_costs_one_line(at: int, size: int) -> None:
    lines = [f'{number},"x {number}",y' for number in range(51)]
    lines[at] = f'{at},"never closed,y'
    found = blocks("\n".join(lines).encode(), size)
    assert [fault.line for block in found for fault in block.faults] == [2 + at]
    assert [line for line, _ in told(found)] == [2 + number for number in range(51) if number != at]


def test_an_open_quote_in_a_long_file_is_given_up_after_the_longest_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(records, "LONGEST", 1000)
    lines = ["1,a", '2,"never closed', *(f"{number},a" for number in range(3, 2000))]
    found = blocks("\n".join(lines).encode(), 300)
    assert [fault.line for block in found for fault in block.faults] == [3]
    assert len(told(found)) == 1998


def test_a_line_beyond_all_length_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST", 1000)
    data = b"1,a\n2," + b"x" * 5000 + b"\n3,a\n"
    found = blocks(data, 300)
    assert [fault.line for block in found for fault in block.faults] == [3]
    assert told(found) == [(2, ["1", "a"]), (4, ["3", "a"])]
    assert blocks(b"1," + b"x" * 5000, 300)[-1].faults[0].line == 2


def test_blank_lines_are_counted_and_no_rows() -> None:
    assert told(blocks(b"\n1,a\n\n\r\n2,b\n\n", 100)) == [(3, ["1", "a"]), (6, ["2", "b"])]
    assert told(blocks(b'\n1,"a"\n\n\r\n2,b\n\n', 100)) == [(3, ["1", "a"]), (6, ["2", "b"])]


def test_athenas_quotes_are_text() -> None:
    found = blocks(b'1\t5" tube\n2\t"x\n', 7, delimiter="\t", quoting=False)
    assert b"".join(block.data for block in found) == b'1\t5" tube\n2\t"x\n'
    assert [line for block in found for line in block.lines] == [2, 3]
