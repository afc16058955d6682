import numpy as np
import pytest
import torch
from mmaction.datasets import PackActionInputs
from support import write_video

from r21d_plugin import InputError
from r21d_plugin.datasets import LabelledVideoDataset, video_dataset
from r21d_plugin.datasets.flow_extraction import extract
from r21d_plugin.datasets.pipelines import clip_pipelines


def dataset(tmp_path, text, num_classes=3, pipeline=(), **kwargs):
    path = tmp_path / 'list.txt'
    path.write_text(text)
    return LabelledVideoDataset(
        str(path), num_classes, data_prefix=dict(video='videos'), pipeline=[*pipeline], **kwargs
    )


def test_reads_mmactions_annotation_files(tmp_path):
    data = dataset(tmp_path, 'a.mp4 0\r\nsome where/b c.mp4 2\n\n')
    assert len(data) == 2
    info = data.get_data_info(1)
    assert (info['filename'], info['label']) == ('videos/some where/b c.mp4', 2)


def test_several_labels(tmp_path):
    text = 'a.mp4 0 2\nb c.mp4 1\n3 4.mp4 2 1 0\n'
    data = dataset(tmp_path, text, multi_class=True, test_mode=True)
    infos = [data.get_data_info(i) for i in range(3)]
    names = [info['filename'] for info in infos]
    assert names == ['videos/a.mp4', 'videos/b c.mp4', 'videos/3 4.mp4']
    assert [info['label'].tolist() for info in infos] == [[1, 0, 1], [0, 1, 0], [1, 1, 1]]
    assert dataset(tmp_path, text, targets='labels').get_data_info(0)['label'].tolist() == [1, 0, 1]


def test_a_video_without_any_of_the_labels(tmp_path):
    data = dataset(tmp_path, 'a.mp4 -\nb c.mp4 1\n', targets='labels')
    assert data.get_data_info(0)['filename'] == 'videos/a.mp4'
    assert [data.get_data_info(i)['label'].tolist() for i in range(2)] == [[0, 0, 0], [0, 1, 0]]


def test_numbers(tmp_path):
    data = dataset(tmp_path, 'a 7.mp4 1 2.5 -3e1\nb 4 0 0 0.1\n', targets='numbers')
    info = data.get_data_info(1)
    assert info['filename'] == 'videos/b 4'
    assert data.get_data_info(0)['label'].tolist() == [1, 2.5, -30]
    packed = PackActionInputs()(dict(info, imgs=np.zeros((1, 3, 4, 8, 8))))
    torch.testing.assert_close(packed['data_samples'].gt_label, torch.tensor([0, 0, 0.1]))


def test_lists_without_numbers(tmp_path):
    data = dataset(tmp_path, 'a.mp4\n', targets='numbers', test_mode=True)
    assert data.get_data_info(0)['label'].isnan().all()


@pytest.mark.parametrize('line', ['a.mp4', 'a.mp4 1 2', 'a.mp4 1 nan 2', 'a.mp4 1 2 EF'])
def test_lines_without_all_numbers(tmp_path, line):
    for test_mode in (False, True):
        with pytest.raises(InputError, match=f"line 2: '{line}' is not a path and 3 numbers"):
            dataset(tmp_path, f'b.mp4 1 2 3\n{line}\n', targets='numbers', test_mode=test_mode)


@pytest.mark.parametrize(
    'given', [dict(targets='classes'), dict(targets='class', multi_class=True)]
)
def test_unknown_targets(tmp_path, given):
    with pytest.raises(InputError, match="use targets='class' or 'labels' or 'numbers'"):
        dataset(tmp_path, 'a.mp4 1\n', **given)


def test_a_single_label_unless_several_are_asked_for(tmp_path):
    data = dataset(tmp_path, 'a 1 2\n')
    assert data.get_data_info(0)['filename'] == 'videos/a 1'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a.mp4 0\nb.mp4 3\n', 'line 2: label 3 is out of range: the config has 3 classes, 0 to 2'),
        ('a.mp4\n', "line 1: 'a.mp4' is not a path and a label"),
        ('a.mp4 dancing\n', "line 1: 'a.mp4 dancing' is not a path and a label"),
        ('a.mp4 -1\n', "line 1: 'a.mp4 -1' is not a path and a label"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        dataset(tmp_path, text)
    assert str(error.value) == f'{tmp_path}/list.txt, {message}'


@pytest.mark.parametrize('multi_class', [False, True])
def test_lists_without_labels(tmp_path, multi_class):
    """These lists are for predictions: paths may contain spaces, and training refuses the lists."""
    text = 'a.mp4\nsome where/b c.mp4\n'
    data = dataset(tmp_path, text, test_mode=True, multi_class=multi_class)
    infos = [data.get_data_info(i) for i in range(2)]
    assert [info['filename'] for info in infos] == ['videos/a.mp4', 'videos/some where/b c.mp4']
    label = infos[0]['label']
    assert label.tolist() == [0, 0, 0] if multi_class else label == -1
    assert data.get_cat_ids(0) == []
    with pytest.raises(InputError, match=r"line 1: 'a\.mp4' is not a path and a label"):
        dataset(tmp_path, text, multi_class=multi_class)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a.mp4 0\nb.mp4\n', r"line 2: 'b\.mp4' is not a path and a label"),
        ('a.mp4\nb.mp4 0\n', r"line 2: 'b\.mp4 0' has a label, and the first line has none"),
    ],
)
def test_a_list_has_labels_or_none(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        dataset(tmp_path, text, test_mode=True)


@pytest.mark.parametrize('delimiter', [',', ', '])
def test_commas(tmp_path, delimiter):
    lines = ['a.mp4', '2'], ['b, c.mp4', '1']
    text = ''.join(f'{delimiter.join(line)}\n' for line in lines)
    data = dataset(tmp_path, text, delimiter=',')
    found = [(info['filename'], info['label']) for info in map(data.get_data_info, range(2))]
    assert found == [('videos/a.mp4', 2), ('videos/b, c.mp4', 1)]


def test_a_byte_order_mark(tmp_path):
    data = dataset(tmp_path, '\ufeffa.mp4 2\r\n\r\n')
    assert (len(data), data.get_data_info(0)['filename']) == (1, 'videos/a.mp4')


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(num_classes=0), 'num_classes=0: use a whole number'),
        (dict(num_classes='3'), "num_classes='3': use a whole number"),
        (dict(max_bad_fraction=1.5), r'max_bad_fraction=1\.5: use a number from 0 to 1'),
        (dict(max_bad_fraction=-0.1), r'max_bad_fraction=-0\.1: use a number from 0 to 1'),
        (dict(max_bad_fraction='5%'), "max_bad_fraction='5%': use a number from 0 to 1"),
    ],
)
def test_values_are_checked(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        dataset(tmp_path, 'a.mp4 0\n', **arguments)


def test_skipping_needs_our_readers(tmp_path, monkeypatch):
    logged = []
    monkeypatch.setattr(video_dataset, 'print_log', lambda text, *_: logged.append(text))
    pipeline = [dict(type='DecordInit'), dict(type='DecordDecode')]
    warning = "on_error='skip' has no effect with DecordInit: read by"
    for option in ('raise', 'skip'):
        dataset(tmp_path, 'a.mp4 0\n', on_error=option, pipeline=pipeline)
        assert any(warning in text for text in logged) == (option == 'skip')


@pytest.mark.parametrize('path', ['../a.mp4', '/etc/a.mp4', 'b/../../a.mp4'])
def test_paths_stay_below_the_data_root(tmp_path, path):
    with pytest.raises(InputError, match=r"line 1: '.*a\.mp4' is not below videos"):
        dataset(tmp_path, f'{path} 0\n')
    listed = str(tmp_path / 'list.txt')
    without_root = LabelledVideoDataset(listed, 3, data_prefix=dict(video=''), pipeline=[])
    assert without_root.get_data_info(0)['filename'] == path


def test_a_line_that_is_too_long_for_a_list(tmp_path):
    with pytest.raises(InputError, match=r'line 1: longer than 8192 characters'):
        dataset(tmp_path, 'a' * 10_000_000)


def test_missing_annotation_file():
    with pytest.raises(InputError, match=r'nope\.txt: no such annotation file'):
        LabelledVideoDataset('nope.txt', 3, pipeline=[])


@pytest.mark.parametrize(('stream', 'stored'), [('flow', 0), ('twostream', 0), ('flow', 1)])
def test_a_video_of_one_frame_is_skipped_where_flow_is_needed(tmp_path, stream, stored):
    for name, frames in dict(single=1, two=2).items():
        write_video(tmp_path / f'{name}.mp4', frames)
    (tmp_path / 'list.txt').write_text('single.mp4 0\ntwo.mp4 1\n')
    root = str(tmp_path / 'flow') if stored else None
    if stored:
        extract(tmp_path, tmp_path / 'flow', (171, 128), tmp_path / 'two.mp4')
    line = f'{tmp_path}/single.mp4: 1 frame(s), and flow needs 2: drop it from the annotations'
    train, _, test = clip_pipelines(8, stream, flow_root=root)
    for pipeline, test_mode in ((train, False), (test, True)):
        data = dict(data_prefix=dict(video=str(tmp_path)), pipeline=pipeline, test_mode=test_mode)
        videos = LabelledVideoDataset(str(tmp_path / 'list.txt'), 2, on_error='skip', **data)
        found = videos[0]
        assert set(found.pop('skipped')) == {line}
        assert not found if test_mode else found['data_samples'].gt_label == 1
        assert videos[1]['skipped'] == []
