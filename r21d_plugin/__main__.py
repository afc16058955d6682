"""``python -m r21d_plugin``, the same as ``r21d``, for ``torchrun -m r21d_plugin train ...``."""

from .cli.main import main

main()
