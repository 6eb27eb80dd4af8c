"""A column of text, or of a Parquet file's types, to a column of the CDM's: every value converted exactly or named.

Responsible for: what counts as empty, as a whole number, a number, a date, a datetime; why a value is none.
Not responsible for: which row a value is in, or whether a column may be empty.

Arrays go through Arrow's casts where all is plain. Only a column in which a cast fails is looked at value by value, still
with array operations.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dure.omop.tables import ColumnType

ARROW_TYPES = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.DATETIME: pa.timestamp("us"),
    ColumnType.TEXT: pa.string(),
}
EMPTY = ("", "NULL", "\\N")
"""What stands for "no value" in every column; `EMPTY_NUMBERS` too, where a column isn't text."""
EMPTY_NUMBERS = ("NA", "N/A", "null", "None", "NaN", "nan")
FIRST_DAY = np.datetime64("1582-10-15")
LAST_DAY = np.datetime64("2299-12-31")
EXACT_IN_A_FLOAT = 2**53

NOT_WHOLE = "not a whole number"
HAS_DECIMALS = "a whole number is wanted, and this has decimals"
LOST_DIGITS = "a whole number that went through a float, which holds only 15 to 16 digits"
TOO_LARGE = "beyond 64 bits"
NOT_A_NUMBER = "not a finite number"
NOT_A_DATE = "not a date; write YYYY-MM-DD"
NO_SUCH_DAY = "no such day or time"
OUT_OF_RANGE = "outside 1582-10-15 to 2299-12-31"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A converted column: `values` (empty where it failed), and which values failed, reason by reason."""

    values: pa.Array
    faults: tuple[tuple[Mask, str], ...] = ()


def plain(values: pa.Array, type_: ColumnType) -> bool:
    """Whether an array of the right Arrow type holds nothing that the CDM doesn't: finite numbers, days in range."""
    if type_ is ColumnType.FLOAT:
        return bool(pc.all(pc.is_finite(values), min_count=0).as_py())
    if type_ in {ColumnType.DATE, ColumnType.DATETIME}:
        ends = pc.min_max(values).as_py()
        if ends["min"] is None:
            return True
        return bool(_day(ends["min"]) >= FIRST_DAY and _day(ends["max"]) <= LAST_DAY)
    return True


def convert(values: pa.Array, type_: ColumnType) -> Converted:
    """Convert text or a Parquet column to a type of the CDM.

    Raises:
        pa.ArrowInvalid, pa.ArrowNotImplementedError: `values` is of a type, such as a list, that no column has.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_large_string(values.type) or pa.types.is_null(values.type):
        values = values.cast(pa.string())
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:
        values = pc.local_timestamp(values)
    if not pa.types.is_string(values.type):
        return _from_typed(values, type_)
    if type_ is ColumnType.TEXT:
        return Converted(values=_emptied(values, EMPTY))
    try:
        cast = pc.cast(_emptied(values, EMPTY), ARROW_TYPES[type_])
    except pa.ArrowInvalid:
        cast = None
    if cast is not None and plain(cast, type_):
        return Converted(values=cast)
    text = _emptied(pc.utf8_trim_whitespace(values), EMPTY + EMPTY_NUMBERS)
    if type_ is ColumnType.INTEGER:
        return _whole(text)
    if type_ is ColumnType.FLOAT:
        return _number(text)
    return _moment(text, type_)


def _emptied(values: pa.Array, empty: tuple[str, ...]) -> pa.Array:
    return pc.if_else(pc.is_in(values, pa.array(empty)), pa.scalar(None, pa.string()), values)


def _day(value: object) -> np.datetime64:
    return np.datetime64(value, "D")  # type: ignore[call-overload,no-any-return]


def _mask(condition: pa.Array) -> Mask:
    return np.asarray(pc.fill_null(condition, False).to_numpy(zero_copy_only=False), bool)


def _but(values: pa.Array, bad: Mask) -> pa.Array:
    return pc.if_else(pa.array(bad), pa.scalar(None, values.type), values)


def _faults(*pairs: tuple[Mask, str]) -> tuple[tuple[Mask, str], ...]:
    return tuple((mask, reason) for mask, reason in pairs if mask.any())


def _whole(text: pa.Array) -> Converted:
    given = _mask(pc.is_valid(text))
    digits = _mask(pc.match_substring_regex(text, r"^[+-]?[0-9]+(\.0*)?$"))
    decimals = ~digits & _mask(pc.match_substring_regex(text, r"^[+-]?[0-9]*\.[0-9]+$"))
    dotted = digits & _mask(pc.match_substring(text, "."))
    bare = pc.replace_substring_regex(pc.replace_substring_regex(text, r"\.0*$", ""), r"^\+", "")
    large = digits.copy()
    for index in np.flatnonzero(digits & _mask(pc.greater(pc.utf8_length(bare), 15))):
        number = int(bare[index].as_py())
        large[index] = not -(2**63) <= number < 2**63
        dotted[index] &= abs(number) > EXACT_IN_A_FLOAT
    short = _mask(pc.less_equal(pc.utf8_length(bare), 15))
    large &= ~short
    dotted &= ~short & ~large
    bad = (given & ~digits) | large | dotted
    values = pc.cast(_but(bare, bad), pa.int64())
    return Converted(
        values=values,
        faults=_faults(
            (given & ~digits & ~decimals, NOT_WHOLE),
            (decimals, HAS_DECIMALS),
            (large, TOO_LARGE),
            (dotted, LOST_DIGITS),
        ),
    )


def _number(text: pa.Array) -> Converted:
    given = _mask(pc.is_valid(text))
    fits = _mask(pc.match_substring_regex(text, r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"))
    values = pc.cast(_but(pc.replace_substring_regex(text, r"^\+", ""), given & ~fits), pa.float64())
    endless = _mask(pc.invert(pc.is_finite(values)))
    bad = (given & ~fits) | endless
    return Converted(values=_but(values, bad), faults=_faults((bad, NOT_A_NUMBER)))


_MOMENT = (
    r"^(?P<y>\d{4})(?:-(?P<m>\d{2})-(?P<d>\d{2})|(?P<mm>\d{2})(?P<dd>\d{2}))"
    r"(?:[T ](?P<h>\d{2}):(?P<i>\d{2})(?::(?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?\s*(?:Z|[+-]\d{2}(?::?\d{2})?)?)?$"
)


def _moment(text: pa.Array, type_: ColumnType) -> Converted:
    """Dates and datetimes by their parts. A zone is dropped and the time kept as written; a DATE drops the time."""
    parts = pc.extract_regex(text, _MOMENT)
    given = _mask(pc.is_valid(text))
    fits = _mask(pc.is_valid(parts))
    year = _part(parts, "y")
    month = _part(parts, "m") + _part(parts, "mm")
    day = _part(parts, "d") + _part(parts, "dd")
    hour, minute, second = (_part(parts, name) for name in "his")
    fraction = _micros(parts)
    months = np.datetime64("0000-01", "M") + (year * 12 + np.clip(month, 1, 12) - 1).astype("timedelta64[M]")
    first = months.astype("datetime64[D]")
    length = ((months + np.timedelta64(1, "M")).astype("datetime64[D]") - first).astype(np.int64)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    exists &= (hour <= 23) & (minute <= 59) & (second <= 59)
    days = first + (day - 1).astype("timedelta64[D]")
    outside = fits & exists & ((days < FIRST_DAY) | (days > LAST_DAY))
    bad = ~fits | ~exists | outside
    if type_ is ColumnType.DATE:
        values = pa.array(days.astype("datetime64[D]"), pa.date32(), mask=bad)
    else:
        clock = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
        whole = np.where(bad, np.datetime64("1970-01-01"), days).astype("datetime64[us]")
        values = pa.array(whole + clock.astype("timedelta64[us]"), pa.timestamp("us"), mask=bad)
    return Converted(
        values=values,
        faults=_faults((given & ~fits, NOT_A_DATE), (fits & ~exists, NO_SUCH_DAY), (outside, OUT_OF_RANGE)),
    )


def _part(parts: pa.Array, name: str) -> npt.NDArray[np.int64]:
    text = pc.struct_field(parts, name)
    return np.asarray(pc.cast(_zeroed(text), pa.int64()))


def _micros(parts: pa.Array) -> npt.NDArray[np.int64]:
    text = pc.utf8_slice_codeunits(pc.utf8_rpad(_zeroed(pc.struct_field(parts, "f")), 6, "0"), 0, 6)
    return np.asarray(pc.cast(text, pa.int64()))


def _zeroed(text: pa.Array) -> pa.Array:
    filled = pc.fill_null(text, "0")
    return pc.if_else(pc.equal(filled, ""), "0", filled)


def _from_typed(values: pa.Array, type_: ColumnType) -> Converted:
    """A column of a Parquet file that isn't text."""
    if pa.types.is_decimal(values.type) and (type_ is ColumnType.INTEGER or type_ is ColumnType.TEXT):
        return convert(values.cast(pa.string()), type_)
    if type_ is ColumnType.TEXT:
        return Converted(values=values.cast(pa.string()))
    if type_ is ColumnType.INTEGER:
        return _whole_typed(values)
    if type_ is ColumnType.FLOAT:
        numbers = values.cast(pa.float64(), safe=False)
        nan = _mask(pc.is_nan(numbers))
        endless = _mask(pc.invert(pc.is_finite(numbers))) & ~nan
        return Converted(values=_but(numbers, nan | endless), faults=_faults((endless, NOT_A_NUMBER)))
    moments = values.cast(pa.timestamp("us"), safe=False)
    days = np.asarray(moments.to_numpy(zero_copy_only=False)).astype("datetime64[D]")
    outside = _mask(pc.is_valid(moments)) & ((days < FIRST_DAY) | (days > LAST_DAY))
    kept = _but(moments, outside)
    return Converted(
        values=kept.cast(pa.date32(), safe=False) if type_ is ColumnType.DATE else kept,
        faults=_faults((outside, OUT_OF_RANGE)),
    )


def _whole_typed(values: pa.Array) -> Converted:
    if pa.types.is_uint64(values.type):
        large = _mask(pc.greater(values, pa.scalar(2**63 - 1, pa.uint64())))
        return Converted(values=_but(values, large).cast(pa.int64()), faults=_faults((large, TOO_LARGE)))
    if not pa.types.is_floating(values.type):
        return Converted(values=values.cast(pa.int64()))
    numbers = values.cast(pa.float64())
    empty = _mask(pc.is_nan(numbers))
    broken = ~empty & _mask(pc.not_equal(pc.trunc(numbers), numbers))
    lost = ~empty & _mask(pc.greater(pc.abs(numbers), float(EXACT_IN_A_FLOAT)))
    return Converted(
        values=_but(numbers, empty | broken | lost).cast(pa.int64()),
        faults=_faults((broken & ~lost, HAS_DECIMALS), (lost, LOST_DIGITS)),
    )
