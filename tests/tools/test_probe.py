"""Features of videos: stored, then probed."""

import json
from shutil import copy

import cv2
import numpy as np
import pytest
from untrained import CONFIGS, untrained


def write_plain(path, colour, seed):
    """Encode 10 frames of a colour with a little noise."""
    rng = np.random.default_rng(seed)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 25, (64, 64))
    for _ in range(10):
        writer.write(np.uint8(np.clip(rng.normal(colour, 8, (64, 64, 3)), 0, 255)))
    writer.release()


@pytest.fixture
def features(tool, tmp_path):
    """Extract the features of six red, six green and six blue videos, and list these."""
    (tmp_path / 'videos').mkdir()
    lines = []
    for i in range(18):
        write_plain(tmp_path / f'videos/{i}.mp4', 200 * np.eye(3)[i % 3], seed=i)
        lines.append(f'{i}.mp4 {i % 3}\n')
    (tmp_path / 'train.txt').write_text(''.join(lines[:15]))
    (tmp_path / 'test.txt').write_text(''.join(lines[15:]))
    network = ['--config', CONFIGS['rgb'], '--checkpoint', untrained(tmp_path)]
    out = ['--out', tmp_path / 'features', '--device', 'cpu', '--workers', 0]
    tool('extract_features.py', tmp_path / 'videos', *network, *out)
    return tmp_path / 'features'


def test_probe(features, tool, fails, tmp_path, capsys):
    lists = ['--train', tmp_path / 'train.txt', '--test', tmp_path / 'test.txt']
    capsys.readouterr()
    tool('probe.py', features, *lists, '--json', tmp_path / 'out/found.json')
    assert capsys.readouterr().out.splitlines() == [
        '15 videos to train, 3 to test',
        'linear probe, top-1  100.0%',
        'retrieval, R@1       100.0%',
        'retrieval, R@5       100.0%',
        'retrieval, R@10      100.0%',
    ]
    found = json.loads((tmp_path / 'out/found.json').read_text())
    assert found.pop('weight_decay') > 0
    recall = {'1': 1.0, '5': 1.0, '10': 1.0}
    assert found == dict(videos=dict(train=15, test=3), top1=1.0, recall=recall)

    (tmp_path / 'last.txt').write_text('3.mp4 0\n4.mp4 1\n5.mp4 2\n')
    (tmp_path / 'others').mkdir()
    for number in (3, 4, 5):  # in another folder, with the same names
        for end in ('mp4.npy', 'mp4.json'):
            copy(features / f'{number + 12}.{end}', tmp_path / f'others/{number}.{end}')
    elsewhere = ['--test-features', tmp_path / 'others', '--test', tmp_path / 'last.txt']
    tool('probe.py', features, *lists[:2], *elsewhere)
    assert 'linear probe, top-1  100.0%' in capsys.readouterr().out
    message = fails('probe.py', features, tmp_path / 'others', *lists)
    assert 'others: has 3.mp4, which another source has too: name one' in message

    assert f'{tmp_path}/videos: no features: name a folder' in fails(
        'probe.py', tmp_path / 'videos', *lists
    )
    message = fails('probe.py', features, '--train', 'no.txt', *lists[2:])
    assert message.startswith('error: no.txt: cannot read it')
    assert 'it is a folder' in fails('probe.py', features, *lists, '--json', features)
