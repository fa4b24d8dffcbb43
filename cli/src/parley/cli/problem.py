"""What the person at the terminal is told instead of a stack trace."""


class Problem(Exception):  # noqa: N818 - it is read by people, as "there is a problem"
    """One sentence that says what is wrong, and what to do about it."""
