"""What the node's main process asks of the extractor and the calculator, and what they say back, as strict messages.

Not responsible for: carrying them (`channel`), doing them (`extractor`, `calculator`).
"""

from dure.wire.codec import message

DATASET_CHANGED = "dataset-changed"
NO_FRAME = "no-frame"


@message
class Extract:
    """Make a frame and put it into the pipe to the calculator.

    Attributes:
        frame: the name under which the calculator keeps it.
        kind: of the study; the question itself follows as a blob, then each result carried from an earlier step.
        dataset_version: which version is to be asked; another is refused.
    """

    frame: str
    kind: str
    step: str
    dataset_version: str


@message
class Extracted:
    """The frame is in the pipe. `rows` stays in this machine's log."""

    rows: int


@message
class Compute:
    """Run a statistic over a frame; its parameters and state follow as blobs."""

    frame: str
    statistic: str


@message
class Computed:
    """The answer, whose arrays follow as blobs: the fields in the layout's order, the support, the populations.

    Attributes:
        held: the frames that the calculator has now.
    """

    populations: tuple[str, ...]
    held: tuple[str, ...]


@message
class Trouble:
    """It didn't work.

    Attributes:
        slug: of a Problem, DATASET_CHANGED, NO_FRAME, or "" for an error nobody foresaw.
        what, where, mend: for this machine's log; never sent on.
        held: the frames that the calculator has now.
    """

    slug: str
    what: str
    where: str
    mend: str
    held: tuple[str, ...] = ()
