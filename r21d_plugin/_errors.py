"""The error that a user's mistake raises."""


class InputError(ValueError):
    """Something the user gave is wrong.

    The message is one line that names what is wrong, where (file, key or
    index) and what to do about it. The command line tools print the message
    alone and exit with status 1; everything else that is raised is a defect
    and keeps its traceback.

    Args:
        message (str): The message. What it quotes, such as the name of a
            stranger's file, may hold ends of lines and commands to terminals:
            of such there are spaces in it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(''.join(c if c.isprintable() else ' ' for c in message))


class VideoInputError(InputError):
    """A video that is missing or does not decode, which a run can do without."""
