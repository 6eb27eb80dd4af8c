"""The protocol of a run, as pure steps over data: `open_run`, then `advance` for every event until it is over."""

from dure.study.protocol.run import Event, Run, Stage, Strand, open_run
from dure.study.protocol.transitions import advance, pending

__all__ = ["Event", "Run", "Stage", "Strand", "advance", "open_run", "pending"]
