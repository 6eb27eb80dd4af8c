"""Frames as bytes, for the pipe from the extractor to the calculator: Arrow's stream format.

Not responsible for: making frames (`extractor`), using them (`calculator`).
"""

import pyarrow as pa

from dure.stats.base import Frame


def dump(frame: Frame) -> memoryview:
    """A frame as an Arrow stream: the first column is the person."""
    names = ["person", *(f"column {name}" for name in frame.columns)]
    batch = pa.record_batch([pa.array(array) for array in (frame.person, *frame.columns.values())], names)
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
    arrays = [table.column(index).to_numpy() for index in range(table.num_columns)]
    names = [name.removeprefix("column ") for name in table.column_names]
    return Frame(person=arrays[0], columns=dict(zip(names[1:], arrays[1:], strict=True)))
