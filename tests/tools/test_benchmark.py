from support import write_video


def test_flow(tmp_path, tool, capsys):
    video = write_video(tmp_path / 'a.mp4', frames=20)
    tool('benchmark/flow.py', video, '--clip-len', 4, '--network', 'fr2d_18', '--repeats', 1)
    out = capsys.readouterr().out
    assert out.count('| flow of') == 4
    assert 'ms for a pair of 112x112 frames' in out
