"""Extraction in a process that is interrupted and resumed."""

import signal
import subprocess
import time

import pytest
from support import ROOT, shell, write_video

SCRIPT = ROOT / 'tools/data/extract_flow.py'


def write_videos(folder, frames):
    folder.mkdir(exist_ok=True)
    for i in range(12):
        write_video(folder / f'{i:02d}.mp4', frames=frames, seed=i)


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    write_videos(folder, frames=6)
    return folder


@pytest.fixture
def run(python, videos, tmp_path):
    """Extract the flow of the videos; return the output."""
    command = [python, SCRIPT, videos, tmp_path / 'flow', '--workers', 2]
    return lambda: shell(*command, cwd=tmp_path)


def files(out):
    return sorted(path.name for path in out.iterdir())


@pytest.mark.parametrize('kill', [signal.SIGKILL, signal.SIGINT])
def test_resumes_after_a_kill(python, videos, run, tmp_path, kill):
    write_videos(videos, frames=60)
    out = tmp_path / 'flow'
    process = subprocess.Popen(
        [python, SCRIPT, videos, out, '--workers', '2'], stderr=subprocess.PIPE, text=True
    )
    while not out.exists() or len(list(out.glob('[!.]*.zip'))) < 3:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(kill)
    # If the workers outlived their parent, standard error would stay open.
    message = process.communicate()[1]
    if kill == signal.SIGINT:
        assert process.returncode == 1
        assert message.splitlines()[-1].startswith('error: stopped')
        assert 'Traceback' not in message

    done = {path: path.stat().st_mtime_ns for path in out.glob('[0-9]*.zip')}
    assert 3 <= len(done) < 12
    assert f'{12 - len(done)} computed, {len(done)} there already' in run()
    assert files(out) == [f'{i:02d}.mp4.flow.zip' for i in range(12)], 'no half files either'
    assert all(path.stat().st_mtime_ns == when for path, when in done.items())
    assert '0 computed, 12 there already' in run()


def test_broken_videos_are_listed(videos, run, tmp_path):
    out = tmp_path / 'flow'
    content = (videos / '01.mp4').read_bytes()
    (videos / '01.mp4').write_bytes(content[: len(content) // 2])
    (videos / '02.mp4').unlink()
    (videos / '02.mp4').symlink_to(videos / 'gone.mp4')
    write_video(videos / '03.mp4', frames=1)
    printed = run()
    report = out / 'broken_videos.txt'
    assert f'9 computed, 0 there already, 3 broken: see {report}' in printed
    lines = report.read_text().splitlines()
    assert [line.split(':')[0] for line in lines] == [str(videos / f'0{i}.mp4') for i in (1, 2, 3)]
    assert lines[2].endswith('1 frame(s), and flow needs 2')
    assert len(files(out)) == 9 + 1

    write_video(videos / '01.mp4', frames=10)
    (videos / '02.mp4').unlink()
    (videos / '03.mp4').unlink()
    assert '1 computed, 9 there already\n' in run()
    assert len(files(out)) == 10


def test_a_video_that_changed_is_computed_again(videos, run):
    run()
    write_video(videos / '05.mp4', frames=30)
    assert '1 computed, 11 there already' in run()


def test_bad_arguments(tmp_path, fails):
    tool = 'data/extract_flow.py'
    assert 'nope: no such folder of videos' in fails(tool, tmp_path / 'nope', tmp_path / 'out')
    assert 'no videos in it (.avi' in fails(tool, tmp_path, tmp_path / 'out')
    write_video(tmp_path / 'a.mp4', frames=4)
    assert 'workers=0' in fails(tool, tmp_path, tmp_path / 'out', '--workers', 0)
    (tmp_path / 'out').write_text('a file')
    message = fails(tool, tmp_path, tmp_path / 'out', '--workers', 1)
    assert 'out/a.mp4.flow.zip: cannot write there' in message


def test_existing_flow_of_another_size(tmp_path, tool, fails):
    write_video(tmp_path / 'a.mp4', frames=4)
    arguments = ('data/extract_flow.py', tmp_path, tmp_path / 'out', '--workers', 1)
    tool(*arguments, '--scale', 64, 48)
    message = fails(*arguments)
    assert 'flow of 64x48 pixels, not 171x128: choose another folder' in message


def test_no_video_decodes(tmp_path, fails):
    (tmp_path / 'a.mp4').write_bytes(b'hello')
    message = fails('data/extract_flow.py', tmp_path, tmp_path / 'out', '--workers', 1)
    assert message.endswith('none of the videos decodes')
