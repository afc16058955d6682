"""The four benchmarks, prepared from files in the official formats."""

import os

import pytest
from mmengine.config import Config
from support import ROOT, write_numbered, write_video

from r21d_plugin.datasets import (
    LabelledVideoDataset,
    annotation_files,
    annotations,
    benchmarks,
    preparation,
    video_checks,
    video_facts,
)
from r21d_plugin.datasets.video_facts import read_facts

TOOL = 'data/prepare.py'


@pytest.fixture(autouse=True)
def few_classes(monkeypatch):
    """Reduce the datasets to three classes."""
    monkeypatch.setattr(annotations, 'CLASSES', dict.fromkeys(annotations.CLASSES, 3))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a folder with a folder of videos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'videos').mkdir()
    return tmp_path


def videos(folder, *names):
    for i, name in enumerate(names):
        path = folder / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, frames=4, seed=i)


def read(path):
    return path.read_text(encoding='utf-8').splitlines()


KINETICS = """label,youtube_id,time_start,time_end,split
"tying knot (not on a tie)",--abc,10,20,train
abseiling,déf,7,17,train
zumba,ghi,0,10,train
zumba,ghi,0,10,train
zumba,lost,0,10,train
zumba,half,0,10,train
"""
VALIDATION = """label,youtube_id,time_start,time_end,split\r
abseiling,jkl,3,13,validate\r
"""


@pytest.fixture
def kinetics(folder):
    (folder / 'train.csv').write_text(KINETICS, encoding='utf-8')
    (folder / 'validate.csv').write_bytes(VALIDATION.encode())
    names = ('knots/--abc_000010_000020.mp4', 'déf_000007_000017.mp4', 'a b/ghi.mkv', 'jkl.mp4')
    videos(folder, *names, 'half.mp4')
    half = folder / 'videos/half.mp4'
    half.write_bytes(half.read_bytes()[:2000])
    return (TOOL, 'kinetics400', '--videos', 'videos', '--workers', 2, '--annotations')


def test_kinetics(kinetics, folder, tool, capsys):
    tool(*kinetics, 'train.csv', 'validate.csv')
    out = folder / 'data/kinetics400'
    assert read(out / 'kinetics400_train_list_videos.txt') == [
        'knots/--abc_000010_000020.mp4 1',
        'déf_000007_000017.mp4 0',
        'a b/ghi.mkv 2',
    ]
    assert read(out / 'kinetics400_val_list_videos.txt') == ['jkl.mp4 0']
    classes = ['abseiling', 'tying knot (not on a tie)', 'zumba']
    assert read(out / 'label_map_kinetics400.txt') == classes
    assert read(out / 'missing_videos.txt') == ['train.csv, line 6: lost_000000_000010']
    (line,) = read(out / 'broken_videos.txt')
    assert line == 'train.csv, line 7: half_000000_000010: half.mp4: does not decode'
    assert read(out / 'duplicate_videos.txt') == ['train.csv, line 5: ghi_000000_000010']
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines()]
    assert ['train', '3', '1', '1', '1'] in rows
    assert ['val', '1', '0', '0', '0'] in rows
    assert 'missing videos: see data/kinetics400/missing_videos.txt' in printed
    facts = list(read_facts(out / 'kinetics400_train_list_videos.tsv'))
    assert [f.path for f in facts] == [
        'knots/--abc_000010_000020.mp4',
        'déf_000007_000017.mp4',
        'a b/ghi.mkv',
    ]
    assert {(f.frames, f.fps, f.width, f.height) for f in facts} == {(4, 25.0, 96, 72)}

    # The configs find all of these files.
    cfg = Config.fromfile(ROOT / 'configs/r2plus1d_34_kinetics.py')
    for split, count in (('train', 3), ('val', 1)):
        data = cfg[f'{split}_dataloader'].dataset
        arguments = {key: data[key] for key in ('ann_file', 'data_prefix', 'num_classes')}
        dataset = LabelledVideoDataset(pipeline=cfg[f'{split}_pipeline'], **arguments)
        assert len(dataset) == count
        assert dataset[0]['inputs'].shape[1:] == (3, 32, 112, 112)


def test_without_opening_the_videos(kinetics, folder, tool):
    tool(*kinetics, 'train.csv', 'validate.csv', '--no-check', '--out', 'there')
    assert len(read(folder / 'there/kinetics400_train_list_videos.txt')) == 4
    assert not (folder / 'there/broken_videos.txt').exists()
    assert not list((folder / 'there').glob('*.tsv'))


def test_two_files_of_one_name(kinetics, folder, tool):
    """Neither is taken, and the video is not called missing."""
    videos(folder, 'a/jkl.mp4', 'b/jkl.mp4')
    (folder / 'videos/jkl.mp4').unlink()
    tool(*kinetics, 'train.csv', 'validate.csv')
    _, line = read(folder / 'data/kinetics400/broken_videos.txt')
    assert line.endswith(': several files have this name, jkl: keep one')


def test_splits_one_after_the_other(kinetics, folder, tool):
    """The list of the first split keeps its table."""
    other = KINETICS.replace('train', 'validate')
    (folder / 'validate.csv').write_text(other, encoding='utf-8')
    tool(*kinetics, 'train.csv')
    tool(*kinetics, 'validate.csv')
    names = {path.name for path in (folder / 'data/kinetics400').glob('kinetics400_*')}
    assert names == {
        f'kinetics400_{split}_list_videos.{suffix}'
        for split in ('train', 'val')
        for suffix in ('txt', 'tsv')
    }


def test_again(kinetics, folder, tool):
    """A second run, with the missing and the broken video present, replaces all output."""
    tool(*kinetics, 'train.csv', 'validate.csv')
    videos(folder, 'half.mp4', 'lost.mp4')
    tool(*kinetics, 'train.csv', 'validate.csv')
    out = folder / 'data/kinetics400'
    assert len(read(out / 'kinetics400_train_list_videos.txt')) == 5
    assert sorted(path.name for path in out.iterdir()) == [
        'duplicate_videos.txt',
        'kinetics400_train_list_videos.tsv',
        'kinetics400_train_list_videos.txt',
        'kinetics400_val_list_videos.tsv',
        'kinetics400_val_list_videos.txt',
        'label_map_kinetics400.txt',
        'videos_train',
        'videos_val',
    ]


@pytest.mark.parametrize('out', ['/proc/there', 'train.csv/there', 'train.csv'])
def test_an_output_that_is_not_writable(kinetics, folder, fails, out):
    """The error comes before the videos are opened."""
    message = fails(*kinetics, 'train.csv', 'validate.csv', '--out', out)
    assert message.startswith(f'error: {out}: cannot write there: ')


def test_a_folder_whose_name_is_not_utf8(kinetics, folder, tool):
    (folder / 'videos/a b').rename(folder / 'videos' / os.fsdecode(b'\xff'))
    tool(*kinetics, 'train.csv', 'validate.csv')
    out = folder / 'data/kinetics400'
    line = read(out / 'broken_videos.txt')[0]
    assert line.endswith(
        r"0010: '\udcff/ghi.mkv': its name is not UTF-8, or has a line break: rename it"
    )
    assert len(read(out / 'kinetics400_train_list_videos.txt')) == 2


def test_files_without_extension(folder):
    (folder / 'videos/x').mkdir(parents=True)
    for name in ('abc', 'x/def.mp4', 'notes.txt'):
        (folder / 'videos' / name).touch()
    assert benchmarks.index_videos(folder / 'videos') == {'abc': 'abc', 'def': 'x/def.mp4'}


def test_sports1m(folder, tool):
    address = 'https://www.youtube.com/watch?v='
    (folder / 'a').mkdir()
    (folder / 'a/labels.txt').write_text('running\nski jumping\n5-pin bowling\n')
    (folder / 'a/train_partition.txt').write_text(f'{address}x-1 2,0\n{address}y_2 1\n')
    (folder / 'a/test_partition.txt').write_text(f'{address}z 0\n')
    videos(folder, 'x-1.mp4', '0/y_2.webm.mp4', '1/y_2.mp4', 'z.mp4')
    tool(TOOL, 'sports1m', '--videos', 'videos', '--annotations', 'a', '--workers', 1)
    out = folder / 'data/sports1m'
    assert read(out / 'sports1m_train_list_videos.txt') == ['x-1.mp4 0 2', '1/y_2.mp4 1']
    assert read(out / 'sports1m_test_list_videos.txt') == ['z.mp4 0']
    cfg = Config.fromfile(ROOT / 'configs/r2plus1d_34_sports1m.py')
    data = cfg.test_dataloader.dataset
    assert (folder / data.ann_file).exists()
    assert (folder / data.data_prefix.video / 'z.mp4').exists()


def write_ucf101(folder):
    (folder / 'classInd.txt').write_text('1 Archery\r\n2 HandStand Pushups\r\n3 YoYo\r\n')
    for split in (1, 2, 3):
        (folder / f'trainlist0{split}.txt').write_text(
            f'Archery/v_Archery_g0{split}_c01.avi 1\nYoYo/same.avi 3\n'
        )
        (folder / f'testlist0{split}.txt').write_text('Archery/same.avi\n')


def test_ucf101(folder, tool):
    write_ucf101(folder)
    names = [f'Archery/v_Archery_g0{i}_c01.avi' for i in (1, 2, 3)]
    videos(folder, *names, 'YoYo/same.avi', 'Archery/same.avi')
    tool(TOOL, 'ucf101', '--videos', 'videos', '--annotations', '.', '--workers', 1)
    out = folder / 'data/ucf101'
    for split in (1, 2, 3):
        assert read(out / f'ucf101_train_split_{split}_videos.txt') == [
            f'Archery/v_Archery_g0{split}_c01.avi 0',
            'YoYo/same.avi 2',
        ]
        assert read(out / f'ucf101_val_split_{split}_videos.txt') == ['Archery/same.avi 0']
    assert read(out / 'label_map_ucf101.txt')[1] == 'HandStand Pushups'


def write_hmdb51(folder):
    (folder / 'lists').mkdir()
    for name in ('brush_hair', 'cartwheel', 'wave'):
        for split in (1, 2, 3):
            (folder / f'lists/{name}_test_split{split}.txt').write_text(
                f'{name}_#1(!)_0.avi {split % 3} \n{name}_2.avi 1 \n'
            )


def test_hmdb51(folder, tool):
    write_hmdb51(folder)
    for name in ('brush_hair', 'cartwheel', 'wave'):
        videos(folder, f'{name}/{name}_#1(!)_0.avi', f'{name}/{name}_2.avi')
    tool(TOOL, 'hmdb51', '--videos', 'videos', '--annotations', 'lists', '--workers', 1)
    out = folder / 'data/hmdb51'
    assert len(read(out / 'hmdb51_train_split_1_videos.txt')) == 6
    assert read(out / 'hmdb51_val_split_2_videos.txt')[1] == 'cartwheel/cartwheel_#1(!)_0.avi 1'
    assert not (out / 'hmdb51_val_split_3_videos.txt').exists(), 'code 0 is neither'


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('label,youtube_id,start\n', 'train.csv, line 1: the columns are label, youtube_id, start'),
        ('', 'train.csv, line 1: the columns are '),
        (KINETICS.replace('7,17,train', '7,17'), 'train.csv, line 3: 4 columns, not 5'),
        (KINETICS.replace('7,17,train', '7,17,test'), "train.csv, line 3: split 'test' or times"),
        (KINETICS.replace('7,17,train', 'x,17,train'), 'train.csv, line 3: split'),
        (KINETICS.replace('zumba', 'abseiling'), '2 classes, but kinetics400 has 3'),
        (KINETICS + 'abseiling,ghi,0,10,train\n', 'line 8: ghi_000000_000010 has labels (0,), and'),
    ],
)
def test_bad_kinetics(kinetics, folder, fails, content, message):
    (folder / 'train.csv').write_text(content)
    assert message in fails(*kinetics, 'train.csv')
    written = folder / 'data/kinetics400'
    assert not written.exists() or not list(written.iterdir()), 'nothing half-written'


def test_annotations_for_another_dataset(folder, fails):
    videos(folder, 'a.mp4')
    (folder / 'ucf').mkdir()
    write_ucf101(folder / 'ucf')
    write_hmdb51(folder)
    common = ('--videos', 'videos', '--workers', 1, '--annotations')
    assert 'classInd.txt is missing' in fails(TOOL, 'ucf101', *common, 'lists')
    assert 'train_partition.txt is missing' in fails(TOOL, 'sports1m', *common, 'ucf')
    assert 'brush_hair_test_split1.txt is missing' in fails(TOOL, 'hmdb51', *common, 'ucf')
    assert 'the columns are' in fails(TOOL, 'kinetics400', *common, 'ucf/classInd.txt')
    (folder / 'lists/wave_test_split2.txt').unlink()
    assert 'wave_test_split2.txt is missing' in fails(TOOL, 'hmdb51', *common, 'lists')
    assert 'nope: no such annotation' in fails(TOOL, 'ucf101', *common, 'nope')
    message = fails(TOOL, 'ucf101', '--videos', 'nope', '--annotations', 'ucf')
    assert 'nope: no videos in it (.avi' in message


@pytest.mark.parametrize(
    ('file', 'line', 'message'),
    [
        ('trainlist02.txt', 'Dancing/v.avi 1', "trainlist02.txt, line 1: no class 'Dancing'"),
        ('trainlist02.txt', 'Archery/v.avi 2', 'line 1: Archery is class 1, not 2'),
        ('classInd.txt', '0 Archery', "line 1: '0 Archery' is not 1 and the name of a class"),
    ],
)
def test_bad_ucf101(folder, fails, file, line, message):
    videos(folder, 'a.avi')
    write_ucf101(folder)
    (folder / file).write_text(line + '\n')
    found = fails(TOOL, 'ucf101', '--videos', 'videos', '--annotations', '.', '--workers', 1)
    assert message in found


@pytest.fixture
def inspected(monkeypatch):
    """Record the videos that this process checks."""
    inspect, seen = video_facts.inspect_video, []

    def note(video, path, level):
        seen.append(path)
        return inspect(video, path, level)

    monkeypatch.setattr(video_checks, 'inspect_video', note)
    monkeypatch.setattr(preparation, 'parallel_map', lambda f, items, _: map(f, items))
    return seen


def test_an_interrupted_run_resumes(kinetics, folder, fails, tool, monkeypatch, inspected):
    add = annotation_files.Journal.add

    def interrupted(self, facts):
        add(self, facts)
        if len(inspected) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(annotation_files.Journal, 'add', interrupted)
        message = fails(*kinetics, 'train.csv', 'validate.csv')
    assert message == 'error: stopped: run the same command again to resume'
    out = folder / 'data/kinetics400'
    assert [path.name for path in out.iterdir()] == ['.kinetics400_videos.partial.tsv']
    tool(*kinetics, 'train.csv', 'validate.csv')
    whole = [*inspected[:2], 'a b/ghi.mkv', 'half.mp4', 'jkl.mp4']
    assert inspected == whole
    assert not (out / '.kinetics400_videos.partial.tsv').exists()

    tool(*kinetics, 'train.csv', 'validate.csv')
    assert inspected == [*whole, 'half.mp4'], (
        'what is checked stays so, and what is broken does not'
    )
    tool(*kinetics, 'train.csv', 'validate.csv', '--verify', 'full')
    assert inspected[-5:] == whole


def test_videos_of_several_splits_are_checked_once(folder, tool, inspected):
    write_ucf101(folder)
    names = [f'Archery/v_Archery_g0{i}_c01.avi' for i in (1, 2, 3)]
    videos(folder, *names, 'YoYo/same.avi', 'Archery/same.avi')
    tool(TOOL, 'ucf101', '--videos', 'videos', '--annotations', '.')
    assert sorted(inspected) == sorted([*names, 'YoYo/same.avi', 'Archery/same.avi'])


def test_bad_annotations_are_reported_before_videos_are_opened(kinetics, folder, fails, inspected):
    (folder / 'train.csv').write_text(KINETICS.replace('7,17,train', '7,17,test'))
    assert "train.csv, line 3: split 'test'" in fails(*kinetics, 'train.csv', 'validate.csv')
    assert not inspected


def test_verifying_all_frames(kinetics, folder, tool):
    """The file is damaged in its middle."""
    path = write_numbered(folder / 'videos/jkl.mp4', [i / 25 for i in range(60)], g='12')
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 3, len(content) // 2, 7):
        content[at] ^= 0x5A
    path.write_bytes(content)
    out = folder / 'data/kinetics400'
    tool(*kinetics, 'train.csv', 'validate.csv')
    assert read(out / 'kinetics400_val_list_videos.txt') == ['jkl.mp4 0']
    tool(*kinetics, 'train.csv', 'validate.csv', '--verify', 'full')
    assert read(out / 'broken_videos.txt')[-1].endswith('jkl.mp4: has damaged frames')


def test_no_workers(kinetics, fails):
    message = fails(*kinetics, 'train.csv', 'validate.csv', '--workers', 0)
    assert message == 'error: workers=0: at least 1 is needed'


def test_labels_outside_the_label_map(folder, fails):
    videos(folder, 'a.mp4')
    for part in ('train', 'test'):
        (folder / f'{part}_partition.txt').write_text('https://www.youtube.com/watch?v=a 3\n')
    (folder / 'labels.txt').write_text('a/b\nc d\ne\n')
    message = fails(TOOL, 'sports1m', '--videos', 'videos', '--annotations', '.', '--workers', 1)
    assert 'train_partition.txt, line 1: label 3 is outside the label map of 3 classes' in message


def test_the_folder_for_videos_is_taken(kinetics, folder, fails):
    (folder / 'data/kinetics400/videos_val').mkdir(parents=True)
    message = fails(*kinetics, 'train.csv', 'validate.csv')
    assert 'videos_val: exists and is not videos: move it away' in message
    assert not list((folder / 'data/kinetics400').glob('*.txt'))
