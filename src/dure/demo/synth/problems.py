"""What can go wrong when people are made up (exit codes 100 to 105 belong to `demo`)."""

from dure.wire.problems import Problem


class BadRecipe(Problem):
    """The number of persons, the seed or the hospital can't be used."""

    slug = "synth-recipe"
    title = "The synthetic hospital can't be made as asked"
    status = 422
    exit_code = 100
