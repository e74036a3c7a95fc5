"""The errors a user can cause, each with one line of text and an exit code.

Exit codes of every command: 0 success; 1 a comparison that did not meet its threshold (`concordance`);
2 bad input or arguments (`UserError`); 3 a bug (any other exception, with its traceback);
130 interrupted; 141 its output is no longer read (`| head`); 143 terminated.
"""

EXIT_DIFFERENT = 1
EXIT_BAD_INPUT = 2
EXIT_BUG = 3


class UserError(Exception):
    """Something the user can mend. The message is one line: file, place, what was found and what was expected."""

    exit_code = EXIT_BAD_INPUT


class InputError(UserError):
    """A file that is missing, damaged or contradicts another.

    Parameters
    ----------
    path: the file, as the user named it.
    problem: what is wrong and what was expected, one line.
    where: the record, line or read name, if known ("record 12", "line 3").
    """

    def __init__(self, path, problem: str, where: str | None = None):
        self.path, self.problem, self.where = str(path), problem, where
        super().__init__(f"{path}: {where + ': ' if where else ''}{problem}")


class DeviceError(UserError):
    """`--device cuda` was asked for and something it needs is missing."""
