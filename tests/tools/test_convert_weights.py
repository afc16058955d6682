import torch

from r21d_plugin import create_model


def test_report(tool, tmp_path, capsys):
    model = create_model('r3d_18', 5, base_channels=4)
    torch.save(model.state_dict(), tmp_path / 'a.pth')
    tool('convert_weights.py', tmp_path / 'a.pth', tmp_path / 'b.pth', '--to', 'torchvision')
    out = capsys.readouterr().out
    assert 'R3D-18 (base_channels=4, in_channels=3, num_classes=5)' in out
    assert 'for an epsilon of 1e-05, running variances +0.00099' in out
    assert (tmp_path / 'b.pth').exists()


def test_bad_input(fails, tmp_path):
    assert 'no such checkpoint file' in fails(
        'convert_weights.py', tmp_path / 'a.pth', tmp_path / 'b.pth', '--to', 'r21d'
    )
