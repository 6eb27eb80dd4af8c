"""UTF-8 or CP949, found out; what can't be read is marked, never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dure.onboard.encoding import UNREADABLE, Transcoder

KOREAN = "1,서울대학교병원\n2,당뇨병\n3,plain\n4,똠방각하 펲시콜라\n"


def turn(data: bytes, size: int) -> tuple[str, str]:
    transcoder = Transcoder()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    out = b"".join(transcoder.feed(piece, final=False) for piece in pieces) + transcoder.feed(b"", final=True)
    return out.decode(), transcoder.encoding


@given(st.integers(20, 200))
def test_korean_comes_out_the_same_from_either_encoding(size: int) -> None:
    assert turn(KOREAN.encode("cp949"), size) == (KOREAN, "cp949")
    assert turn(KOREAN.encode(), size) == (KOREAN, "utf-8")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufffd")), st.integers(1, 50))
def test_utf8_is_left_alone(text: str, size: int) -> None:
    lines = "\n".join(["가나다", text])
    transcoder = Transcoder()
    assert transcoder.feed(lines.encode(), final=True).decode() == lines


def test_ascii_needs_no_decision() -> None:
    assert turn(b"1,a\n2,b\n", 3) == ("1,a\n2,b\n", "ascii")


@pytest.mark.parametrize("text", ["Málaga,é\nJosé,ñandú\n", "Straße,grün\n"])
def test_latin1_isnt_taken_for_korean(text: str) -> None:
    out, encoding = turn(text.encode("latin-1"), 1000)
    assert encoding == "utf-8"
    assert UNREADABLE in out


def test_one_bad_line_in_a_good_file_is_marked_and_the_rest_kept() -> None:
    out, encoding = turn("1,가\n".encode() + b"2,\xff\n" + "3,나\n".encode(), 1000)
    assert encoding == "utf-8"
    assert out == f"1,가\n2,{UNREADABLE}\n3,나\n"
