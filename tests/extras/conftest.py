"""Set-up for optional dependencies, in this process and in those that it starts."""

import os
import runpy
from pathlib import Path

STARTUP = Path(__file__).parent / 'startup'

runpy.run_path(str(STARTUP / 'sitecustomize.py'))
os.environ['PYTHONPATH'] = os.pathsep.join(
    filter(None, [str(STARTUP), os.environ.get('PYTHONPATH')])
)
