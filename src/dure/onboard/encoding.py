"""Bytes of a file to UTF-8, line by line: what Korean hospitals export is UTF-8 or CP949, and says neither.

Responsible for: deciding the encoding once per file, at the first byte that isn't ASCII; marking lines that can't be read.
Not responsible for: what the text means.
"""

from typing import Literal

UNREADABLE = "\0\ufffd"
"""Stands in the text where bytes couldn't be read; NUL bytes have no place in a CSV, so no text holds it by itself."""
_SHARE_OF_LINES = 0.9
_SHARE_OF_LETTERS = 0.6
_LONGEST_LINE = 8 * 2**20
"""A longer line is passed on as it is, characters cut in two or not: `onboard.records` rejects it anyway."""

Encoding = Literal["ascii", "utf-8", "cp949"]


class Transcoder:
    """Turns pieces of a file, in order, to UTF-8. `encoding` is "ascii" until a byte says otherwise."""

    def __init__(self) -> None:
        self.encoding: Encoding = "ascii"
        self._rest = b""

    def feed(self, piece: bytes, *, final: bool) -> bytes:
        """The piece as UTF-8; the start of a line that isn't whole yet may be kept for the next call."""
        data = self._rest + piece if self._rest else piece
        self._rest = b""
        if data.isascii():
            return data
        if not final:
            # A character may be cut in two at the end of a piece; at the end of a line never, in either encoding.
            cut = data.rfind(b"\n") + 1
            if cut or len(data) < _LONGEST_LINE:
                data, self._rest = data[:cut], data[cut:]
        if self.encoding == "ascii" and not data.isascii():
            self.encoding = _decide(data)
        if self.encoding == "cp949":
            return _mend(data, "cp949") if not data.isascii() else data
        return data if _is_utf8(data) else _mend(data, "utf-8")


def _decide(data: bytes) -> Encoding:
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    foreign = [line for line in lines if not _decodes(line, "utf-8")]
    if len(foreign) <= len(lines) // 2:
        return "utf-8"
    korean = [line.decode("cp949") for line in foreign if _decodes(line, "cp949")]
    # CP949 reads most bytes as some rare syllable. Korean is made of the common ones, those of KS X 1001; Latin-1 isn't.
    letters = [letter for line in korean for letter in line if not letter.isascii()]
    common = sum(_is_common(letter) for letter in letters)
    likely = len(korean) >= _SHARE_OF_LINES * len(foreign) and common >= _SHARE_OF_LETTERS * len(letters)
    return "cp949" if likely else "utf-8"


def _is_common(letter: str) -> bool:
    try:
        return len(letter.encode("euc_kr")) == 2
    except UnicodeEncodeError:
        return False


def _mend(data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except UnicodeDecodeError:
        lines = data.split(b"\n")
    return b"\n".join(line if line.isascii() else _line(line, encoding) for line in lines)


def _line(line: bytes, encoding: str) -> bytes:
    try:
        return line.decode(encoding).encode()
    except UnicodeDecodeError:
        return line.decode(encoding, errors="replace").replace("\ufffd", UNREADABLE).encode()


def _is_utf8(data: bytes) -> bool:
    return _decodes(data, "utf-8")


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
