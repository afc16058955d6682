"""Figures, written to files."""

from pathlib import Path

from matplotlib.figure import Figure

from .._atomic import written_whole
from .._errors import InputError


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, in the format that the file's extension names.

    Args:
        figure (Figure): The figure.
        path (Path): Picture to write; it appears when it is complete.

    Raises:
        InputError: If it cannot be written.
    """
    with written_whole(path) as partial:
        try:
            figure.savefig(partial, dpi=150, format=path.suffix[1:])
        except ValueError as error:
            raise InputError(f'{path}: cannot write a picture there: {error}') from error
