from pathlib import Path
from typing import Any

import numpy as np

__version__: str

def imread(img_or_path: str | Path, flag: str = 'color', **kwargs: Any) -> np.ndarray: ...
def imresize(
    img: np.ndarray, size: tuple[int, int], return_scale: bool = False, **kwargs: Any
) -> np.ndarray: ...
def rescale_size(old_size: tuple[int, int], scale: Any) -> tuple[int, int]: ...
