"""Run a script that kills itself at a change of a checkpoint.

The first argument is JSON: the arguments of :func:`die_at_change`.
"""

import json
import os
import re
import resource
import runpy
import signal
import sys

CHANGES = {('open', 'w'), ('open', 'wb'), ('os.rename', ''), ('os.remove', '')}


def die_at_change(number, folder, size=None):
    """Kill this process before its n-th change of a checkpoint or of the note of the last one.

    With a size, the kernel kills it in the write that makes any file longer.
    """
    left = number

    def count(event, args):
        nonlocal left
        mode = args[1] if event == 'open' else ''
        if (event, mode) in CHANGES and re.match(rf'{folder}/[^/]*(\.pth|last_ch)', str(args[0])):
            left -= 1
            if left == 0 and size is None:
                os.kill(os.getpid(), signal.SIGKILL)
            elif left == 0:
                signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    sys.addaudithook(count)


if __name__ == '__main__':
    die_at_change(**json.loads(sys.argv[1]))
    sys.argv = sys.argv[2:]
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name='__main__')
