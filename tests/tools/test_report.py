"""Reports of real tests."""

import base64
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import OPTIONS, ROOT

from r21d_plugin.cli.launch import load_config
from r21d_plugin.evaluation.results import last_test

pytest.importorskip('jinja2')  # PyTorch brings it since 2.0

TOOL = 'report.py'
CONFIG = ROOT / 'configs/r2plus1d_18_kinetics.py'


class Page(HTMLParser):
    """Parser of what a page shows and loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags, self.loaded, self.text = [], [], ''
        self.feed(path.read_text('utf-8'))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        keys = 'src', 'href', 'xlink:href'
        self.loaded += [attributes[key] for key in keys if key in attributes]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope='module')
def tested(trained_dir, tmp_path_factory) -> Path:
    """Train, then test once; return the work dir."""
    return Path(shutil.copytree(trained_dir, tmp_path_factory.mktemp('tested') / 'a <b> & c'))


@pytest.fixture
def work_dir(tested, in_kinetics, tool) -> Path:
    """Copy the work dir of a training and a test."""
    if not list(tested.glob('*/scores.npz')):
        checkpoint = tested / 'epoch_2.pth'
        tool('test.py', CONFIG, checkpoint, '--device', 'cpu', '--work-dir', tested, *OPTIONS)
    return tested


def test_a_page_by_itself(work_dir, tool, capsys):
    tool(TOOL, work_dir, '--device', 'cpu')
    assert capsys.readouterr().out.splitlines()[-1] == str(work_dir / 'report.html')
    page = Page(work_dir / 'report.html')
    for heading in ('a <b> & c: test report', 'Training', 'Mistakes', 'Confused', 'Config'):
        assert heading in page.text
    for value in last_test(work_dir).values():
        assert f'{value:.1%}' in page.text
    for name in ('abseiling', 'video 3.mp4', 'MMEngine', 'ClipVideoAccuracy'):
        assert name in page.text
    # Links within the page, and pictures.
    assert all(re.match(r'#|data:image/(png|webp);base64,', link) for link in page.loaded)
    assert not {'script', 'link', 'iframe'} & set(page.tags)
    loops = [link for link in page.loaded if link.startswith('data:image/webp')]
    assert len(loops) >= 6
    for loop in loops:
        picture = Image.open(io.BytesIO(base64.b64decode(loop.partition(',')[2])))
        assert picture.width == 160
        assert picture.n_frames >= 8
    assert (work_dir / 'report.html').stat().st_size < 2_000_000


def test_missing_videos(work_dir, tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tool(TOOL, work_dir, '--out', tmp_path / 'page.html', '--device', 'cpu')
    page = Page(tmp_path / 'page.html')
    assert 'Left out: pictures: ' in page.text
    assert 'no such video' in page.text
    assert 'no such video' in capsys.readouterr().err
    assert not [link for link in page.loaded if link.startswith('data:image/webp')]


def test_bad_arguments(work_dir, trained_dir, fails, tmp_path):
    assert 'no finished test with scores.npz there' in fails(TOOL, trained_dir)
    labels = tmp_path / 'labels.txt'
    labels.write_text('one\ntwo\n')
    assert 'labels.txt: 2 names, and the config has 400' in fails(
        TOOL, work_dir, '--labels', labels
    )
    assert 'it is a folder' in fails(TOOL, work_dir, '--out', tmp_path)
    assert not list(tmp_path.glob('*.html'))


def test_grad_cam_maps(work_dir):
    pytest.importorskip('captum')
    from r21d_plugin.evaluation.report.attention import GradCam

    cfg = load_config(str(next(work_dir.glob('*/scores.npz')).parent / 'vis_data/config.py'))
    network = GradCam(cfg, str(work_dir / 'epoch_2.pth'), torch.device('cpu'))
    maps = []
    network.layer.register_forward_hook(lambda layer, inputs, output: maps.append(output))
    clip = network.clip(Path('data/kinetics400/videos_val/video 5.mp4'), 3, 7)
    assert clip.frames.shape == (8, 112, 112, 3)
    assert clip.cells == (1, 7, 7)
    # The mean and the classifier follow the map, so the gradients are the weights.
    weights = network.model.cls_head.fc_cls.weight[7]
    expected = torch.einsum('c,cthw->thw', weights, maps[0][0]).clamp(min=0)[0].detach()
    assert expected.max() > 0
    small = torch.nn.functional.avg_pool2d(torch.tensor(clip.heat[0])[None], 16)[0]
    assert np.corrcoef(small.flatten(), expected.flatten())[0, 1] > 0.8
    assert (clip.heat.min(), clip.heat.max()) == (0, 1)


def test_two_streams_have_no_grad_cam(work_dir):
    pytest.importorskip('captum')
    from torch import nn

    from r21d_plugin.evaluation.report.attention import last_group

    with pytest.raises(ValueError, match='a network of one RGB stream'):
        last_group(nn.Module())
