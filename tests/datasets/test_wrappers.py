from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from torch.utils.data import Subset

from r21d_plugin.datasets import LabelledVideoDataset, inner_datasets


def test_wrappers_of_wrappers(tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0\nb.mp4 1\nc.mp4 1\nd.mp4 1\n')
    first, second = (
        LabelledVideoDataset(str(tmp_path / 'list.txt'), 2, pipeline=[]) for _ in range(2)
    )
    assert inner_datasets(first) == [first]
    repeated = RepeatDataset(first, times=2)
    both = ConcatDataset([first, second])
    both.datasets = [repeated, second]
    assert inner_datasets(both) == [first, second]
    assert inner_datasets(Subset(both, [0])) == [first, second]
    assert inner_datasets([1, 2]) == [[1, 2]]


def test_rare_classes_are_repeated(tmp_path):
    (tmp_path / 'list.txt').write_text('a.mp4 0\nb.mp4 1\nc.mp4 1 2\nd.mp4 1\n')
    several = LabelledVideoDataset(str(tmp_path / 'list.txt'), 3, multi_class=True, pipeline=[])
    assert [several.get_cat_ids(i) for i in range(4)] == [[0], [1], [1, 2], [1]]
    balanced = ClassBalancedDataset(several, oversample_thr=1)
    assert balanced.repeat_indices == [0, 0, 1, 1, 2, 2, 3, 3]
    (tmp_path / 'list.txt').write_text('a.mp4 0\nb.mp4 1\nc.mp4 1\n')
    one = LabelledVideoDataset(str(tmp_path / 'list.txt'), 2, pipeline=[])
    assert ClassBalancedDataset(one, oversample_thr=0.5).repeat_indices == [0, 0, 1, 2]
