"""Frames as bytes, for the pipe from the extractor to the calculator: Arrow's stream format.

Not responsible for: making frames (`extractor`), using them (`calculator`).
"""

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dure.stats.base import Frame

if TYPE_CHECKING:
    from scipy.sparse import csr_array

COLUMN, MATRIX = "column ", "matrix "
WIDTH = b"width"


def dump(frame: Frame) -> memoryview:
    """A frame as an Arrow stream: first the person, then columns, then matrices, each row a list of entries."""
    fields, arrays = [pa.field("person", pa.int64())], [pa.array(frame.person)]
    for name, column in frame.columns.items():
        arrays.append(pa.array(column))
        fields.append(pa.field(COLUMN + name, arrays[-1].type))
    for name, matrix in frame.matrices.items():
        arrays.append(_rows(matrix))
        width = {WIDTH: str(matrix.shape[1]).encode()}
        fields.append(pa.field(MATRIX + name, arrays[-1].type, metadata=width))
    batch = pa.record_batch(arrays, schema=pa.schema(fields))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return memoryview(sink.getvalue())


def load(data: bytes) -> Frame:
    """The frame in an Arrow stream of `dump`.

    Raises:
        ValueError: it isn't one.
    """
    try:
        options = pa.ipc.IpcReadOptions(use_threads=False)
        with pa.ipc.open_stream(data, options=options) as reader:
            table = reader.read_all()
    except pa.ArrowInvalid as error:
        raise ValueError("not an Arrow stream") from error
    columns, matrices = {}, {}
    for index, field in enumerate(table.schema):
        if field.name.startswith(COLUMN):
            columns[field.name.removeprefix(COLUMN)] = table.column(index).to_numpy()
        elif field.name.startswith(MATRIX):
            width = int(field.metadata[WIDTH])
            matrices[field.name.removeprefix(MATRIX)] = _matrix(table.column(index), width)
    return Frame(person=table.column("person").to_numpy(), columns=columns, matrices=matrices)


def _rows(matrix: "csr_array[Any]") -> pa.LargeListArray:
    """A sparse matrix as an array of rows, its own arrays unchanged."""
    entries = pa.StructArray.from_arrays(
        [
            pa.array(matrix.indices.astype("int32", copy=False)),
            pa.array(matrix.data.astype("float64", copy=False)),
        ],
        ["at", "value"],
    )
    return pa.LargeListArray.from_arrays(pa.array(matrix.indptr.astype("int64")), entries)


def _matrix(rows: pa.ChunkedArray, width: int) -> "csr_array[Any]":
    from scipy.sparse import csr_array

    lists = rows.combine_chunks() if rows.num_chunks != 1 else rows.chunk(0)
    entries = lists.values
    parts = (entries.field("value").to_numpy(), entries.field("at").to_numpy(), lists.offsets.to_numpy())
    return csr_array(parts, shape=(len(lists), width))
