"""``python -m r21d_plugin`` is ``r21d``, for ``torchrun -m r21d_plugin train ...``."""

from .cli.main import main

main()
