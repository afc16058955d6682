"""Write the seeds in corpus/, from which the fuzzers begin: ``python seeds.py``."""

import pickle
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[0] = str(HERE.parent)

from fuzz.annotations import encode  # noqa: E402
from weights.attacks import ATTACKS, EMPTY, TORCH_ATTACKS, filled, text  # noqa: E402
from weights.published import caffe2_blobs, seed_norms, write_caffe2  # noqa: E402

from r21d_plugin import create_model  # noqa: E402

KINETICS = b'label,youtube_id,time_start,time_end,split\n'
ANNOTATIONS = {
    'kinetics': encode(
        'kinetics400',
        KINETICS + b'"tying, a knot",--abc,10,20,train\nabseiling,d\xc3\xa9f,7,17,train\n',
        KINETICS + b'abseiling,jkl,3,13,validate\r\n',
    ),
    'sports1m': encode(
        'sports1m',
        b'running\nswimming\n',
        b'https://www.youtube.com/watch?v=abc 0,1\n',
        b'http://youtube.com/watch?v=def 1\n',
    ),
    'ucf101': encode(
        'ucf101',
        b'1 Run\n2 Swim\n',
        *[b'Run/v_Run_g01_c01.avi 1\nSwim/v_Swim_g01_c02.avi 2\n'] * 3,
        *[b'Run/v_Run_g02_c01.avi\n'] * 3,
    ),
    'hmdb51': encode('hmdb51', *[b'a video_1.avi 1\nb.avi 2\nc.avi 0\n'] * 6),
    'plain': encode('plain', b'a b.mp4 0\r\nfolder/c.mp4 3\n\n'),
    'several labels': encode('plain, several labels', b'a.mp4 0 2\n3 4.mp4 1\n'),
    'outside': encode('plain', b'../../etc/a.mp4 0\n/b.mp4 1\na/../../c 2\n'),
    'byte order mark': encode('plain', '\ufeffa.mp4 0\n\x85b.mp4 1\u2028\n'.encode()),
}


def write(target: str, name: str, content: bytes) -> None:
    """Write a seed."""
    path = HERE / 'corpus' / target / name.replace(' ', '_')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main() -> None:
    """Write all."""
    for name, content in ANNOTATIONS.items():
        write('annotations', name, content)

    for name, (content, _) in ATTACKS.items():
        write('pickles', name, content)
    scratch = HERE / 'scratch'
    torch.manual_seed(0)
    model = seed_norms(create_model('r3d_18', num_classes=2, base_channels=1))
    blobs = dict(list(caffe2_blobs(model).items())[:6])
    write('pickles', 'caffe2', write_caffe2(blobs, scratch).read_bytes())
    few = {'a': np.arange(6, dtype='f4').reshape(2, 3), 'b': np.array(5, '>i4')}
    write('pickles', 'python_2', write_caffe2(few, scratch).read_bytes())
    dump = [dict(filename='a', scores=torch.arange(6.0).view(3, 2).t(), label=np.int64(3), **few)]
    for protocol in (2, 4):
        write('pickles', f'dump_{protocol}', pickle.dumps(dump, protocol))

    for name, (value, _) in TORCH_ATTACKS.items():
        write('weight_files', name, b'\1\x80\x02}' + text('a') + value + b's.')
    write('weight_files', 'array', b'\1\x80\x02}' + text('a') + filled(EMPTY) + b's.')
    tensors = {f'backbone.{key}': torch.arange(16.0) for key in ('stem.0.weight', 'fc.bias')}
    number = torch.zeros(16)[:1]  # storages as large as those of zipped()
    whole = {
        key: number.as_strided(value.shape, [0] * value.dim())
        for key, value in create_model('r2plus1d_18', num_classes=2, base_channels=2)
        .state_dict()
        .items()
    }
    torchvisions = {key.replace('backbone.', '', 1): value for key, value in whole.items()}
    contents = dict(
        bare=tensors,
        checkpoint=dict(state_dict=tensors, meta={}),
        whole=whole,
        torchvision=torchvisions,
    )
    for name, content in contents.items():
        torch.save(content, scratch, _use_new_zipfile_serialization=False)
        write('weight_files', f'{name}_legacy', b'\0' + scratch.read_bytes())
        torch.save(content, scratch)
        with torch.serialization._open_zipfile_reader(str(scratch)) as archive:
            write('weight_files', name, b'\1' + archive.get_record('data.pkl'))
    scratch.unlink()


if __name__ == '__main__':
    main()
