"""Synthetic hospitals: plausible people in the OMOP CDM, with truths planted among them for tests and demos.

Read `comparisons.py`, `skin.py`, `sepsis.py`, `controls.py` and `rare.py` for what is planted and how; `background.py` for
what lies around it; `chunk.py` for the order in which all is made.
"""

from dure.demo.synth.file import generate, truth_path
from dure.demo.synth.truth import Truth

__all__ = ["Truth", "generate", "truth_path"]
