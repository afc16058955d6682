"""Flow and two streams on the motion dataset, from training to fused scores."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from support import ROOT, TINY, write_video

from experiments.motion import make_dataset
from r21d_plugin.cli.launch import load_config
from r21d_plugin.datasets.flow_extraction import flow_of_video
from r21d_plugin.evaluation.results import group_by_stream, last_test
from r21d_plugin.weights import load_state_dict_of

pytestmark = pytest.mark.slow

CPU = ['--device', 'cpu']
FLOW = ROOT / 'configs/r2plus1d_18_flow_motion.py'
RGB = ROOT / 'configs/r2plus1d_18_motion.py'
BOTH = ROOT / 'configs/r2plus1d_18_twostream_motion.py'
SMALL = {f'{split}_dataloader.num_workers': 1 for split in ('train', 'val', 'test')}
SMALL.update({f'{split}_dataloader.persistent_workers': False for split in ('val', 'test')})
SMALL.update({'train_dataloader.batch_size': 8, 'param_scheduler.1.milestones': [3]})
TINY_OPTIONS = [
    '--cfg-options',
    *(f'{key}={value}' for key, value in TINY.items() if key != 'model.backbone.base_channels'),
]
OPTIONS = ['--cfg-options', *(f'{key}={value}' for key, value in SMALL.items())]
STANDSTILL = [
    *OPTIONS,
    'train_cfg.max_epochs=1',
    'train_dataloader.sampler.epoch_size=16',
    'optim_wrapper.optimizer.lr=1e-9',
]
"""One step of training that leaves the weights as they are."""


@pytest.fixture(scope='module')
def motion(tmp_path_factory):
    """Make a folder whose data/motion has the four translations of a small motion dataset."""
    root = tmp_path_factory.mktemp('motion')
    for _ in make_dataset(root / 'data/motion', train=100, val=20):
        pass
    for path in root.glob('data/motion/motion_*_list_videos.txt'):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text(''.join(line for line in lines if line[-2] in '0123'))
        for name in (line.split()[0] for line in lines if line[-2] not in '0123'):
            (path.parent / f'videos_{path.name.split("_")[1]}' / name).unlink()
    return root


@pytest.fixture
def in_motion(motion, monkeypatch):
    monkeypatch.chdir(motion)
    return motion


@pytest.fixture(scope='module')
def streams(motion, tmp_path_factory):
    """Train the RGB stream for one epoch and the flow stream for five; return checkpoints."""
    paths = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(motion)
        for config, epochs, clips in ((RGB, 1, 32), (FLOW, 5, 160)):
            cfg = Config.fromfile(config)
            size = {'train_cfg.max_epochs': epochs, 'train_dataloader.sampler.epoch_size': clips}
            cfg.merge_from_dict({**SMALL, **size})
            cfg.work_dir = str(tmp_path_factory.mktemp(config.stem))
            Runner.from_cfg(cfg).train()
            paths[config] = f'{cfg.work_dir}/epoch_{epochs}.pth'
    return paths[RGB], paths[FLOW]


def named(streams):
    """Return options that name the checkpoints of both streams."""
    return [f'model.checkpoints.{n}={p}' for n, p in zip(('rgb', 'flow'), streams)]


@pytest.fixture
def tested(in_motion, streams, tool, tmp_path):
    """Test each stream with a dump, and the fused checkpoint; return the work dirs."""
    fused = tmp_path / 'fused.pth'
    tool('fuse_checkpoints.py', *streams, fused)
    for name, config, checkpoint in (
        ('rgb', RGB, streams[0]),
        ('flow', FLOW, streams[1]),
        ('both', BOTH, fused),
    ):
        dump = ['--dump', tmp_path / f'{name}.pkl']
        tool('test.py', config, checkpoint, *CPU, '--work-dir', tmp_path / name, *dump, *OPTIONS)
    return tmp_path


def test_all_ways_to_the_fused_score_agree(tested, streams, tool, capsys):
    rgb, flow = (last_test(tested / name) for name in ('rgb', 'flow'))
    both = group_by_stream(last_test(tested / 'both'))
    assert both['rgb'] == pytest.approx(rgb)
    assert both['flow'] == pytest.approx(flow)
    assert flow['video@1'] > 0.5, 'motion is what flow shows; chance is 0.25 of four classes'

    options = [*OPTIONS, *named(streams)]
    tool('test.py', BOTH, 'none', *CPU, '--work-dir', tested / 'named', *options)
    assert last_test(tested / 'named') == last_test(tested / 'both')

    capsys.readouterr()
    tool('results.py', *(tested / name for name in ('rgb', 'flow', 'both')))
    rows = {line[:12].rstrip(): line.split()[-3:] for line in capsys.readouterr().out.splitlines()}
    assert rows['rgb'] == rows['both rgb']
    assert rows['flow'] == rows['both flow']
    plot = tested / 'sweep.png'
    tool('fuse_scores.py', tested / 'rgb.pkl', tested / 'flow.pkl', '--sweep', plot)
    offline = capsys.readouterr().out.splitlines()
    assert offline[0] == '8 videos'
    assert next(line for line in offline if 'fused 1 : 1' in line).split()[-3:] == rows['both']
    assert next(line for line in offline if line.startswith('0.50')).split()[1:] == rows['both']
    assert plot.stat().st_size > 5000


STORED = """
_base_ = {base!r}
from r21d_plugin.datasets import pipelines

train_pipeline, val_pipeline, test_pipeline = pipelines.clip_pipelines(
    8, {stream!r}, scale=(64, 64), crop=48, flip=0, flow_root={root!r}
)
train_dataloader, val_dataloader, test_dataloader = pipelines.dataloaders(
    train_pipeline, val_pipeline, test_pipeline
)
"""


def test_stored_flow(in_motion, streams, tool, fails, tmp_path):
    flow = tmp_path / 'flow'
    tool('data/extract_flow.py', 'data/motion', flow, '--scale', 64, 64, '--workers', 2)
    configs = {}
    for stream, base in (('flow', FLOW), ('twostream', BOTH)):
        configs[stream] = tmp_path / f'stored_{stream}.py'
        content = STORED.format(base=str(base), stream=stream, root=str(flow))
        configs[stream].write_text(content)
    test = ['test.py', configs['flow'], streams[1], *CPU]
    tool(*test, '--work-dir', tmp_path / 'stored', *OPTIONS)
    assert last_test(tmp_path / 'stored')['video@1'] > 0.5
    train = ['--no-validate', '--work-dir', tmp_path / 'train', *STANDSTILL]
    tool('train.py', configs['flow'], *CPU, *train)
    dumped = load_config(str(tmp_path / 'train/stored_flow.py'))
    assert dumped.train_pipeline[4].root == str(flow), 'the dumped config reads it too'
    named_streams = [*OPTIONS, *named(streams)]
    both = ['test.py', configs['twostream'], 'none', *CPU, '--work-dir', tmp_path / 'both']
    tool(*both, *named_streams)
    assert last_test(tmp_path / 'both')['flow/video@1'] > 0.5

    (flow / 'videos_val/00003.mp4.flow.zip').unlink()
    message = fails(*test, '--work-dir', tmp_path, *OPTIONS)
    assert 'data/motion/videos_val/00003.mp4: no flow in' in message
    root = 'test_dataloader.dataset.pipeline.4.root'
    message = fails(*test, '--work-dir', tmp_path, *OPTIONS, f'{root}=nowhere')
    assert "root='nowhere': no such folder of stored flow" in message


def test_the_two_stream_network_of_the_paper(in_kinetics, tool, tmp_path):
    """R(2+1)D-34 on 32 frames, in a smaller width."""
    config = ROOT / 'configs/r2plus1d_34_twostream_kinetics.py'
    narrow = [f'model.backbone.{stream}.base_channels=4' for stream in ('rgb', 'flow')]
    short = ['train_cfg.max_epochs=1', 'train_dataloader.sampler.epoch_size=4']
    short += ['val_dataloader.dataset.indices=2', 'test_dataloader.dataset.indices=2']
    options = ['--work-dir', tmp_path, *TINY_OPTIONS, *narrow, *short]
    tool('train.py', config, *CPU, *options)
    tool('test.py', config, tmp_path / 'epoch_1.pth', *CPU, *options)
    assert group_by_stream(last_test(tmp_path)).keys() == {'', 'rgb', 'flow'}


def test_joint_training_from_two_checkpoints(in_motion, streams, tool, tmp_path):
    options = [*STANDSTILL, *named(streams)]
    tool('train.py', BOTH, *CPU, '--no-validate', '--work-dir', tmp_path, *options)
    trained = load_state_dict_of(str(tmp_path / 'epoch_1.pth'))
    for stream, path in zip(('rgb', 'flow'), streams):
        own = load_state_dict_of(str(path))
        key = 'backbone.layer4.1.conv2.0.0.weight'
        torch.testing.assert_close(
            trained[key.replace('.', f'.{stream}.', 1)], own[key], rtol=0, atol=1e-6
        )


def test_flow_network_from_an_rgb_checkpoint(in_motion, streams, tool, tmp_path):
    options = [
        *STANDSTILL,
        'model.backbone.init_cfg.type=r21d_plugin.PretrainedRGB',
        f'model.backbone.init_cfg.checkpoint={streams[0]}',
    ]
    tool('train.py', FLOW, *CPU, '--no-validate', '--work-dir', tmp_path, *options)
    flow = load_state_dict_of(str(tmp_path / 'epoch_1.pth'))
    rgb = load_state_dict_of(str(streams[0]))
    key = 'backbone.stem.0.weight'
    mean = rgb[key].mean(dim=1, keepdim=True).expand_as(flow[key])
    torch.testing.assert_close(flow[key], mean, rtol=0, atol=1e-6)


def test_bad_checkpoints(in_motion, streams, fails, tmp_path):
    both = ('test.py', BOTH)
    work_dir = ('--work-dir', tmp_path)
    message = fails(*both, streams[0], *CPU, *work_dir, *OPTIONS)
    assert f'{streams[0]}: no weights of the rgb stream: join the checkpoints of both' in message
    one = load_state_dict_of(str(streams[0]))
    half = {k.replace('backbone.', 'backbone.rgb.'): v for k, v in one.items()}
    torch.save(dict(state_dict=half), tmp_path / 'half.pth')
    message = fails(*both, tmp_path / 'half.pth', *CPU, *work_dir, *OPTIONS)
    assert 'half.pth: no weights of the flow stream' in message
    message = fails(*both, *CPU, *work_dir, *OPTIONS)
    assert message == 'error: no checkpoint to test: name one after the config'
    message = fails('fuse_checkpoints.py', *reversed(streams), tmp_path / 'fused.pth')
    assert 'takes 2 channels, not RGB: are the two swapped?' in message
    assert not (tmp_path / 'fused.pth').exists()
    message = fails('fuse_checkpoints.py', *streams, '/proc/fused.pth')
    assert '/proc/fused.pth: cannot write there' in message


def test_a_video_of_one_frame(in_motion, streams, fails, tmp_path):
    write_video(tmp_path / 'single.mp4', frames=1)
    (tmp_path / 'list.txt').write_text('single.mp4 0\n')
    data = [
        f'test_dataloader.dataset.ann_file={tmp_path}/list.txt',
        f'test_dataloader.dataset.data_prefix.video={tmp_path}',
    ]
    message = fails('test.py', FLOW, streams[1], *CPU, '--work-dir', tmp_path, *OPTIONS, *data)
    assert message == (
        f'error: {tmp_path}/single.mp4: 1 frame(s), and flow needs 2: drop it from the annotations'
    )


def test_flow_points_where_the_camera_says(motion):
    """Classes of the motion dataset: the image moves right, left, down, up."""
    for label, direction in enumerate([(1, 0), (-1, 0), (0, 1), (0, -1)]):
        video = motion / f'data/motion/videos_val/{label:05d}.mp4'
        fields = np.stack(list(flow_of_video(video)))
        mean = fields[:, 12:-12, 12:-12].mean(axis=(0, 1, 2))
        np.testing.assert_allclose(mean, direction, atol=0.35)
