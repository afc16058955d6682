"""Label maps, which are recognised by their content."""

import pytest
import torch
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.logging import MMLogger

from r21d_plugin import InputError
from r21d_plugin.datasets import LabelledVideoDataset
from r21d_plugin.datasets.label_maps import find_label_map, read_label_map
from r21d_plugin.weights import PublicWeights, classes_of
from r21d_plugin.weights.public import file_name, kinetics_400

LIST = 'a.mp4 0\nb.mp4 1\n'


@pytest.fixture
def beside(tmp_path):
    """Write files beside a list of two videos of two classes, and find the class names."""

    def find(*texts):
        (tmp_path / 'list.txt').write_text(LIST)
        for number, text in enumerate(texts):
            (tmp_path / f'{number}.txt').write_text(text, encoding='utf-8')
        return find_label_map(tmp_path / 'list.txt', 2)

    return find


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        ('run\nжить\n', ('run', 'жить')),
        ('\ufeffrun, "a"\r\n\r\nwalk\r\n', ('run, "a"', 'walk')),
        ('level 0\nlevel 1', ('level 0', 'level 1')),
        ('1 ApplyEyeMakeup\n2 Archery\n', ('ApplyEyeMakeup', 'Archery')),
        ('0: bend/bow\n1: crawl\n', ('bend/bow', 'crawl')),
        ('7 up\n2 down\n', ('7 up', '2 down')),
        ('1 finger\n2 finger\n', ('1 finger', '2 finger')),
        ('2\n10\n', ('2', '10')),
    ],
)
def test_label_maps(beside, text, names):
    assert beside(text) == names


@pytest.mark.parametrize(
    'text',
    [
        'run\n',
        'run\nwalk\nclimb\n',
        'run\nrun\n',
        LIST.replace('a', 'c'),
        'x/a.MP4\nb c.mp4\n',
        'x/a 0\nx/b 1\n',
        'x/a.mp4: does not decode\nx/b.mp4: does not decode\n',
        'validate.csv, line 3: abc\nvalidate.csv, line 7: abd\n',
        'a\0\nb\n',
    ],
)
def test_invalid_values(beside, text):
    assert beside(text) == ()
    assert beside(text, 'run\nwalk\n') == ('run', 'walk')


def test_names_that_prepare_wrote(tmp_path):
    path = tmp_path / 'classes.txt'
    path.write_text('1 finger\n2 fingers\n')
    (tmp_path / 'list.txt').write_text(LIST)
    assert read_label_map(path) == ('1 finger', '2 fingers')
    assert find_label_map(tmp_path / 'list.txt', 2) == ('1 finger', '2 fingers')


def test_different_label_maps(beside, tmp_path):
    assert beside('run\nwalk\n', 'run\r\nwalk') == ('run', 'walk')
    with pytest.raises(InputError, match=r'/1\.txt and .*/2\.txt both have 2 lines.*--labels'):
        beside('run\nwalk\n', 'run\nwalk\n', 'walk\nrun\n')
    log = MMLogger.get_instance('names', log_file=str(tmp_path / 'log'))
    dataset = LabelledVideoDataset(str(tmp_path / 'list.txt'), 2, pipeline=[])
    log.handlers.clear()
    assert 'no class names' in (tmp_path / 'log').read_text()
    assert 'classes' not in dataset.metainfo
    given = dict(classes=str(tmp_path / '2.txt'))
    dataset = LabelledVideoDataset(str(tmp_path / 'list.txt'), 2, pipeline=[], metainfo=given)
    assert dataset.metainfo['classes'] == ('walk', 'run')


def test_a_label_map_that_the_config_names(tmp_path):
    (tmp_path / 'list.txt').write_text(LIST)
    (tmp_path / 'names').write_text('\ufeff1 run\n2 walk\n\n', encoding='utf-8')
    given = dict(classes=str(tmp_path / 'names'))
    dataset = LabelledVideoDataset(str(tmp_path / 'list.txt'), 2, pipeline=[], metainfo=given)
    assert dataset.metainfo['classes'] == ('run', 'walk')


def test_kinetics(tmp_path):
    path = tmp_path / 'kinetics400_train_list_videos.txt'
    assert find_label_map(path, 400) == tuple(kinetics_400())
    path.write_text('a.mp4 7\n')
    assert find_label_map(path, 400) == tuple(kinetics_400())
    assert find_label_map(path, 5) == find_label_map(tmp_path / 'train.txt', 400) == ()
    (tmp_path / 'own.txt').write_text('\n'.join(map(str, range(400))))
    assert find_label_map(path, 400)[:2] == ('0', '1')


def test_no_folder_and_no_file(tmp_path):
    assert find_label_map(tmp_path / 'none/list.txt', 2) == ()
    assert find_label_map('s3://bucket/list.txt', 2) == ()
    with pytest.raises(InputError, match=r'none\.txt: no readable label map'):
        read_label_map(tmp_path / 'none.txt')


@pytest.mark.parametrize('multi_class', [False, True])
def test_wrappers_keep_class_names(beside, tmp_path, multi_class):
    beside('run\nwalk\n')
    dataset = LabelledVideoDataset(
        str(tmp_path / 'list.txt'), 2, pipeline=[], multi_class=multi_class
    )
    repeated = RepeatDataset(dataset, 2)
    balanced = ClassBalancedDataset(dataset, 0.5)
    for wrapped in (dataset, repeated, ConcatDataset([dataset, dataset]), balanced):
        assert wrapped.metainfo['classes'] == ('run', 'walk')


def test_wrong_number_of_names(tmp_path):
    (tmp_path / 'list.txt').write_text(LIST)
    with pytest.raises(InputError, match=r'metainfo\.classes has 3 names, and there are 2 classes'):
        LabelledVideoDataset(
            str(tmp_path / 'list.txt'), 2, pipeline=[], metainfo=dict(classes=['a', 'b', 'c'])
        )


def test_names_in_checkpoints(tmp_path):
    assert classes_of(dict(meta=dict(dataset_meta=dict(classes=['a', 'b'])))) == ('a', 'b')
    for meta in (None, [], dict(dataset_meta=None), dict(dataset_meta=dict(classes=torch.ones(2)))):
        assert classes_of(dict(meta=meta)) == ()
    url = next(each.value.url for each in PublicWeights if each.value.num_classes == 400)
    assert classes_of({}, url) == tuple(kinetics_400())
    assert classes_of({}, f'/somewhere/{file_name(url)}') == tuple(kinetics_400())
    assert classes_of({}, 'https://example.org/other.pth') == ()
    without = next(each.value.url for each in PublicWeights if each.value.num_classes == 0)
    assert classes_of({}, without) == ()
