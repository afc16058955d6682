import io
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch

from r21d_plugin import InputError
from r21d_plugin.evaluation.scores import (
    DumpScores,
    KeptScores,
    accuracy,
    accuracy_by_clips,
    read_scores,
)
from tools.fuse_scores import check_same_videos, fuse, sweep_weights


def dump(path, scores, labels=None, folder='/data/val', names='abcdefghijklmnop'):
    """Write a dump of clip scores as mim test --dump does."""
    samples = [
        dict(
            filename=f'{folder}/{name}.mp4',
            clip_scores=clips,
            pred_score=clips.mean(0),
            gt_label=torch.tensor([label]),
            img_shape=(112, 112),
        )
        for name, clips, label in zip(names, scores, labels or range(len(scores)))
    ]
    path.write_bytes(pickle.dumps(samples, protocol=2))
    return path


@pytest.fixture
def scores():
    torch.manual_seed(0)
    return [torch.randn(2, 8, 10, 6).softmax(-1)[i] for i in (0, 1)]


def test_no_accuracy_of_a_test_without_labels(tmp_path, scores):
    test = read_scores(dump(tmp_path / 'scores.pkl', scores[0][:2], [-1, -1]))
    assert test['b.mp4'].labels == frozenset()
    with pytest.raises(InputError, match=r'a\.mp4: no label'):
        accuracy(test)


def test_joins_by_video_not_by_position(tmp_path, scores):
    rgb = dump(tmp_path / 'rgb.pkl', scores[0][:4], [0, 1, 2, 3])
    order = [2, 0, 3, 1]
    flow = dump(tmp_path / 'flow.pkl', scores[1][order], order, '/elsewhere', 'cadb')
    tests = [read_scores(rgb), read_scores(flow)]
    assert [*tests[0]] == ['a.mp4', 'b.mp4', 'c.mp4', 'd.mp4']
    check_same_videos(dict(zip((rgb, flow), tests)))
    fused = fuse(tests, (0.6, 0.4))
    for i, video in enumerate(tests[0]):
        torch.testing.assert_close(fused[video].clips, 0.6 * scores[0][i] + 0.4 * scores[1][i])
        assert fused[video].labels == {i}


def test_only_ratios_of_weights_matter(tmp_path, scores):
    tests = [read_scores(dump(tmp_path / f'{i}.pkl', scores[i])) for i in (0, 1)]
    assert accuracy(fuse(tests, (6, 4))) == accuracy(fuse(tests, (0.6, 0.4)))
    curve = sweep_weights(*tests, steps=4)
    assert [*curve] == [0, 0.25, 0.5, 0.75, 1]
    assert curve[0] == accuracy(tests[0])
    assert curve[1] == accuracy(tests[1])
    assert curve[0.5] == accuracy(fuse(tests, (1, 1)))


@pytest.mark.parametrize('weights', [(0, 0), (-1, 2), (1,)])
def test_bad_weights(tmp_path, scores, weights):
    tests = [read_scores(dump(tmp_path / 'a.pkl', scores[0]))] * 2
    with pytest.raises(InputError, match='give 2, not negative, not all zero'):
        fuse(tests, weights)


def refused(tmp_path, *dumps):
    tests = {path: read_scores(path) for path in dumps}
    with pytest.raises(InputError) as error:
        check_same_videos(tests)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_tests_that_do_not_match(tmp_path, scores):
    rgb = dump(tmp_path / 'rgb.pkl', scores[0])
    fewer = dump(tmp_path / 'fewer.pkl', scores[1][:5])
    message = 'fewer.pkl: no scores of 3 videos that the other has: f.mp4, g.mp4, h.mp4'
    assert refused(tmp_path, rgb, fewer).endswith(message)
    assert refused(tmp_path, fewer, rgb).endswith(message)
    assert 'has 10 x 6 clips x classes' in refused(
        tmp_path, rgb, dump(tmp_path / 'clips.pkl', scores[1][:, :5])
    )
    assert 'and 10 x 4 clips x classes in' in refused(
        tmp_path, rgb, dump(tmp_path / 'classes.pkl', scores[1][..., :4])
    )
    assert 'c.mp4 has labels [2] in' in refused(
        tmp_path, rgb, dump(tmp_path / 'labels.pkl', scores[1], [0, 1, 5, 3, 4, 5, 6, 7])
    )


def test_scores_with_nan(tmp_path, scores):
    scores[0][3, 2, 1] = float('nan')
    with pytest.raises(InputError, match=r'nan\.pkl: the scores of d\.mp4 are not finite'):
        read_scores(dump(tmp_path / 'nan.pkl', scores[0]))


def test_a_video_twice(tmp_path, scores):
    with pytest.raises(InputError, match=r'/data/val/a\.mp4 is in it twice'):
        read_scores(dump(tmp_path / 'twice.pkl', scores[0], names='abcdefga'))


def test_videos_of_different_clips(tmp_path):
    """An error at the first such video, not after the last."""
    metric = DumpScores(str(tmp_path / 'a.npz'))
    two, three = (
        dict(filename=f'{clips}.mp4', clip_scores=torch.rand(clips, 4), gt_label=[1])
        for clips in (2, 3)
    )
    metric.process({}, [two])
    with pytest.raises(InputError, match=r'numbers of clips differ: name a \.pkl file'):
        metric.process({}, [three])
    with pytest.raises(InputError, match=r'numbers of clips differ: name a \.pkl file'):
        metric.compute_metrics([(name, np.zeros((n, 4)), [1]) for name, n in (('a', 2), ('b', 3))])


def test_scores_that_are_not_a_mean_of_clips(tmp_path):
    """With average_clips='score', a head gives the mean of the clips' logits."""
    logits = torch.tensor([[9.0, 0, 0], [0, 1, 0], [0, 1, 0]])
    clips = logits.softmax(1)
    sample = dict(filename='a.mp4', clip_scores=clips, gt_label=torch.tensor([0]))
    mean, other = (dict(sample, pred_score=score) for score in (clips.mean(0), logits.mean(0)))
    DumpScores(str(tmp_path / 'a.npz')).process({}, [mean])
    with pytest.raises(InputError, match=r"set model\.cls_head\.average_clips='prob'"):
        DumpScores(str(tmp_path / 'a.npz')).process({}, [other])
    kept = KeptScores(str(tmp_path / 'a.npz'))
    kept.process({}, [other])
    assert kept.results == []


def test_not_a_dump(tmp_path):
    with pytest.raises(InputError, match='no such file'):
        read_scores(tmp_path / 'nope.pkl')
    for content in (b'', b'hello', pickle.dumps([]), pickle.dumps([dict(gt_label=0)])):
        (tmp_path / 'bad.pkl').write_bytes(content)
        with pytest.raises(InputError, match=r'bad\.pkl: not a dump of scores'):
            read_scores(tmp_path / 'bad.pkl')


class Evil:
    def __reduce__(self):
        return print, ('this ran',)


def test_a_dump_cannot_run_code(tmp_path, capsys):
    buffer = io.BytesIO()
    torch.save(Evil(), buffer)
    for evil in (Evil(), [dict(filename=Evil())]):
        (tmp_path / 'evil.pkl').write_bytes(pickle.dumps(evil))
        with pytest.raises(InputError, match='print'):
            read_scores(tmp_path / 'evil.pkl')
    assert 'this ran' not in capsys.readouterr().out


def test_accuracy_with_fewer_clips(tmp_path, scores):
    test = read_scores(dump(tmp_path / 'a.pkl', scores[0]))
    curve = accuracy_by_clips(test, [1, 2, 4, 10])
    assert curve[10] == accuracy(test)
    for count, chosen in ((1, [4]), (2, [0, 9]), (4, [0, 3, 6, 9])):
        part = read_scores(dump(tmp_path / 'b.pkl', scores[0][:, chosen]))
        assert curve[count] == accuracy(part)
    for count in (0, 11):
        with pytest.raises(InputError, match='the test has 1 to 10 clips per video'):
            accuracy_by_clips(test, [count])


def test_npz_dumps(tmp_path, scores):
    """The file of DumpScores has the same scores as MMEngine's pickle."""
    path = dump(tmp_path / 'a.pkl', scores[0])
    metric = DumpScores(str(tmp_path / 'a.npz'))
    metric.process({}, pickle.loads(path.read_bytes()))
    metric.evaluate(8)
    assert [file.name for file in tmp_path.iterdir() if file.suffix == '.npz'] == ['a.npz']
    read, expected = read_scores(tmp_path / 'a.npz'), read_scores(path)
    assert read.keys() == expected.keys()
    for video, (clips, labels) in read.items():
        assert torch.equal(clips, expected[video].clips)
        assert labels == expected[video].labels
    with pytest.raises(InputError, match="add 'filename' to the meta_keys of PackActionInputs"):
        metric.process({}, [dict(clip_scores=scores[0][0], gt_label=torch.tensor([0]))])


def test_dumps_with_scores_that_are_not_finite(tmp_path, scores):
    metric = DumpScores(str(tmp_path / 'a.npz'))
    sample = dict(filename='b.mp4', clip_scores=scores[0][0], gt_label=torch.tensor([0]))
    sample['clip_scores'][1, 2] = float('nan')
    with pytest.raises(InputError, match=r'^b\.mp4: its scores are not finite'):
        metric.process({}, [sample])


@pytest.mark.parametrize(
    ('path', 'message'),
    [
        ('folder.npz', 'folder.npz: cannot write there: it is a folder'),
        ('list.txt/a.npz', 'list.txt is not a folder'),
        ('list.txt/deeper/a.npz', 'list.txt/deeper/a.npz: cannot write there: Not a directory'),
        (f'{"a" * 300}/a.npz', 'cannot write there: File name too long'),
        ('/proc/nowhere/a.npz', '/proc/nowhere/a.npz: cannot write there: No such file'),
        ('scores.csv', 'scores.csv: scores are stored in .npz files'),
    ],
)
def test_an_output_that_is_not_writable(tmp_path, path, message):
    """The output is refused before the test begins."""
    (tmp_path / 'folder.npz').mkdir()
    (tmp_path / 'list.txt').touch()
    with pytest.raises(InputError) as error:
        DumpScores(str(tmp_path / path))
    assert message in str(error.value)
    assert '\n' not in str(error.value)


def test_an_existing_dump_is_kept(tmp_path):
    (tmp_path / 'a.npz').write_text('before')
    DumpScores(str(tmp_path / 'a.npz'))
    DumpScores(str(tmp_path / 'new/folder/a.npz'))
    assert (tmp_path / 'a.npz').read_text() == 'before'
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['a.npz', 'folder', 'new']


HOSTILE = """
import resource, sys
from pathlib import Path
from r21d_plugin import InputError
from r21d_plugin.evaluation.scores import accuracy_by_clips, read_scores
import torch
torch.zeros(1)
soft = 2**20 * 600 + int(Path('/proc/self/statm').read_text().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
try:
    read_scores(Path(sys.argv[1]))
except InputError as error:
    print(error)
"""


def object_array():
    """A pickle of some hundred bytes, whose array declares its 8 bytes to be an object."""
    array = np.arange(1)
    content = pickle.dumps([dict(filename='a', clip_scores=array, gt_label=0)], protocol=2)
    return content.replace(b'i8', b'O8', 1)


def expanded_tensor():
    """A tensor of one number whose shape claims 2.4 GiB."""
    clips = torch.zeros(1).expand(2**20, 600)
    return pickle.dumps([dict(filename='a', clip_scores=clips, gt_label=torch.tensor([0]))], 2)


def compressed_npz():
    """A file of kilobytes that unpacks to a gigabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, dict(descr='<f4', fortran_order=False, shape=(2**20, 1, 256))
        )
        archive.writestr('scores.npy', header.getvalue() + bytes(2**30))
    return buffer.getvalue()


def claiming_npz():
    """An array whose header claims more data than the file has."""
    buffer, array = io.BytesIO(), io.BytesIO()
    header = dict(descr='<f4', fortran_order=False, shape=(2**20, 1, 2**14))
    np.lib.format.write_array_header_1_0(array, header)
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('scores.npy', array.getvalue() + bytes(100))
    return buffer.getvalue()


@pytest.mark.parametrize(
    'make', [object_array, expanded_tensor, compressed_npz, claiming_npz], ids=lambda f: f.__name__
)
@pytest.mark.slow
def test_hostile_dumps(tmp_path, make):
    """Each ends in one line, within 600 MiB above an idle process."""
    path = tmp_path / 'dump'
    path.write_bytes(make())
    command = [sys.executable, '-W', 'ignore', '-c', HOSTILE, path]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    assert 'not a dump of scores' in result.stdout
