"""Errors of fuse_scores.py about wrong arguments."""


def test_the_same_file_twice(tmp_path, fails):
    path = tmp_path / 'rgb.npz'
    (tmp_path / 'link.npz').symlink_to(path)
    for other in (path, tmp_path / 'link.npz', f'{tmp_path}/../{tmp_path.name}/rgb.npz'):
        message = fails('fuse_scores.py', path, other)
        assert message == f'error: {path}: given twice: name the dumps of two tests'
