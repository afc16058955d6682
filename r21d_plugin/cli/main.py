"""The console script ``r21d``, which runs the scripts in ``tools/``."""

import runpy
import shlex
import sys
from pathlib import Path

COMMANDS = {
    'train': ('train.py', 'train a recognizer from a config'),
    'test': ('test.py', 'test a checkpoint'),
    'finetune': ('finetune.py', 'finetune a network on your own videos, test it and report'),
    'report': ('report.py', 'write an HTML report on the last test in a work dir'),
    'predict': ('predict.py', 'predict the classes of videos'),
    'features': ('extract_features.py', 'store the features of videos'),
    'probe': ('probe.py', 'evaluate stored features: linear probe and retrieval'),
    'export': ('export.py', 'write a network as ONNX or torch.export file'),
    'quantize': ('quantize.py', 'write a checkpoint with an int8 network for OpenVINO'),
    'publish': ('publish_model.py', 'write a checkpoint without training state, named by its hash'),
    'reproduce': ('reproduce.py', 'compare public weights with their published accuracy'),
    'flow': ('data/extract_flow.py', 'store the optical flow of videos'),
    'prepare': ('data/prepare.py', 'check videos and write their lists: benchmarks or your own'),
}


def main() -> None:
    """Run the command that the first argument names."""
    name, *arguments = sys.argv[1:] or ['--help']
    if name in ('-h', '--help'):
        print('usage: r21d COMMAND ...; r21d COMMAND --help lists the arguments of a command\n')
        for command, (_, purpose) in COMMANDS.items():
            print(f'  {command:10}{purpose}')
        return
    if name not in COMMANDS:
        sys.exit(f'error: {name}: no such command: choose from {", ".join(COMMANDS)}')
    mim = shlex.join([Path(COMMANDS[name][0]).stem, *arguments])
    print(f'$ mim run r21d_plugin {mim}', file=sys.stderr)
    script = str(Path(__file__).parents[1] / '.mim/tools' / COMMANDS[name][0])
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name='__main__')
