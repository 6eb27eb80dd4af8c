"""What a user can meet when released numbers are turned into an estimate."""

from dure.wire.problems import Problem


class NoEstimate(Problem):
    """Numbers from which the estimate that is asked for doesn't follow: too few, contradictory, or without information."""

    slug, title, status, exit_code = "no-estimate", "These numbers give no estimate", 422, 44
