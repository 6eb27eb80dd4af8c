"""A hospital's way in: files to an OMOP CDM, with every row accounted for."""
