"""The results of the paper, row by row, and the config of each.

Accuracies are the paper's, in per cent; None if it has none or only a figure.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A result of the paper.

    Attributes:
        name (str): Name in the paper.
        config (str): Name of the config that trains it, without ``.py``.
        network (str): Name of the network for ``create_model``.
        frames (int): Frames per clip.
        stream (str): ``'RGB'``, ``'flow'`` or ``'two-stream'``.
        clip1 (float, optional): clip@1.
        video1 (float, optional): video@1, top-1.
        video5 (float, optional): video@5, top-5.
        remark (str): A remark.
        trained (bool): Whether the config is trained for this row, not only tested.
    """

    name: str
    config: str
    network: str
    frames: int
    stream: str = 'RGB'
    clip1: float | None = None
    video1: float | None = None
    video5: float | None = None
    remark: str = ''
    trained: bool = True


class Table(NamedTuple):
    """A table or figure of the paper.

    Attributes:
        title (str): Number and subject.
        dataset (str): Benchmark.
        test (str): How accuracies are measured.
        rows (list[Row]): The rows.
    """

    title: str
    dataset: str
    test: str
    rows: list[Row]


def _table_2() -> list[Row]:
    results: dict[str, tuple[str, float, float, float, float]] = {
        'R2D': ('r2d', 46.7, 59.5, 47.0, 58.9),
        'f-R2D': ('fr2d', 48.1, 59.4, 50.3, 60.5),
        'R3D': ('r3d', 49.4, 61.8, 52.5, 64.2),
        'MC2': ('mc2', 50.2, 62.5, 53.1, 64.2),
        'MC3': ('mc3', 50.7, 62.9, 53.7, 64.7),
        'MC4': ('mc4', 50.5, 62.5, 53.7, 65.1),
        'MC5': ('mc5', 50.3, 62.5, 53.7, 65.1),
        'rMC2': ('rmc2', 49.8, 62.1, 53.1, 64.9),
        'rMC3': ('rmc3', 49.8, 62.3, 53.2, 65.0),
        'rMC4': ('rmc4', 49.9, 62.3, 53.4, 65.1),
        'rMC5': ('rmc5', 49.4, 61.2, 52.1, 63.1),
        'R(2+1)D': ('r2plus1d', 52.8, 64.8, 56.8, 68.0),
    }
    rows = []
    for frames, suffix, at in ((8, '', 0), (16, '_16f', 2)):
        for name, (network, *accuracies) in results.items():
            clip1, video1 = accuracies[at : at + 2]
            config = f'{network}_18_kinetics{suffix}'
            rows.append(Row(name, config, f'{network}_18', frames, 'RGB', clip1, video1))
    return rows


def _two_streams(config: str, frames: int, *results: tuple) -> list[Row]:
    streams = dict(zip(('RGB', 'flow', 'two-stream'), results))
    return [
        Row(
            f'R(2+1)D-34 {stream}',
            config.format({'RGB': '', 'flow': '_flow', 'two-stream': '_twostream'}[stream]),
            'r2plus1d_34',
            frames,
            stream,
            *accuracies,
        )
        for stream, accuracies in streams.items()
    ]


def _lengths() -> list[Row]:
    return [
        Row(
            f'R(2+1)D-18, {frames} frames',
            f'r2plus1d_18_kinetics{"" if frames == 8 else f"_{frames}f"}',
            'r2plus1d_18',
            frames,
            remark='in the figure only',
        )
        for frames in (8, 16, 24, 32, 40, 48)
    ]


def _table_6(dataset: str, *results: tuple) -> list[Row]:
    rows = []
    for source, name, (rgb, flow, both) in zip(
        ('sports1m', 'kinetics'), ('Sports-1M', 'Kinetics'), results
    ):
        config = f'r2plus1d_34{{}}_{dataset}_from_{source}'
        top1 = ((None, value) for value in (rgb, flow, both))
        for row in _two_streams(config, 32, *top1):
            rows.append(row._replace(name=f'{row.name}, from {name}'))
    return rows


TEN_CLIPS = '10 clips'
KINETICS = 'Kinetics-400, validation'

TABLES = [
    Table('Table 2: forms of convolution', KINETICS, TEN_CLIPS, _table_2()),
    Table(
        'Table 3: clip length in training and in testing',
        KINETICS,
        TEN_CLIPS,
        [
            Row('8, tested on 8', 'r2plus1d_18_kinetics', 'r2plus1d_18', 8, 'RGB', 52.8, 64.8),
            Row(
                '8, tested on 32',
                'r2plus1d_18_kinetics_32f',
                'r2plus1d_18',
                32,
                'RGB',
                51.6,
                59.0,
                remark='the checkpoint of the row above',
                trained=False,
            ),
            Row('32, on 32', 'r2plus1d_18_kinetics_32f', 'r2plus1d_18', 32, 'RGB', 60.1, 69.4),
            Row(
                '8, finetuned on 32',
                'r2plus1d_18_kinetics_32f_from_8f',
                'r2plus1d_18',
                32,
                'RGB',
                59.8,
                68.0,
                remark='7 epochs, ours: the paper gives its hours, not its schedule',
            ),
        ],
    ),
    Table(
        'Figure 3: training and testing error',
        KINETICS,
        'logged after each epoch',
        [
            Row('R3D-18', 'r3d_18_kinetics', 'r3d_18', 8, remark='in the figure only'),
            Row(
                'R(2+1)D-18', 'r2plus1d_18_kinetics', 'r2plus1d_18', 8, remark='in the figure only'
            ),
            Row('R3D-34', 'r3d_34_kinetics', 'r3d_34', 32, remark='clip length not stated'),
            Row('R(2+1)D-34', 'r2plus1d_34_kinetics', 'r2plus1d_34', 32, remark='as above'),
        ],
    ),
    Table('Figure 5a: clip length', KINETICS, TEN_CLIPS, _lengths()),
    Table(
        'Figure 5b: clips of a video',
        KINETICS,
        '1 to 100 clips, from one test: '
        '`--cfg-options test_dataloader.dataset.pipeline.1.num_clips=100`, '
        '`tools/accuracy_by_clips.py`',
        [
            Row(
                'R(2+1)D-18',
                'r2plus1d_18_kinetics_32f',
                'r2plus1d_18',
                32,
                remark='20 clips are about 0.5 below 100',
            )
        ],
    ),
    Table(
        'Table 4: Sports-1M',
        'Sports-1M, test',
        '100 clips; the top class has to be one of the labels',
        [
            Row('R3D-34 RGB', 'r3d_34_sports1m_8f', 'r3d_34', 8, 'RGB', 53.8),
            *_two_streams(
                'r2plus1d_34{}_sports1m_8f',
                8,
                (56.1, 72.0, 91.2),
                (44.5, 65.5, 87.2),
                (None, 72.2, 91.4),
            ),
            *_two_streams(
                'r2plus1d_34{}_sports1m',
                32,
                (57.0, 73.0, 91.5),
                (46.4, 68.4, 88.7),
                (None, 73.3, 91.9),
            ),
        ],
    ),
    Table(
        'Table 5: Kinetics, from scratch',
        KINETICS,
        TEN_CLIPS,
        _two_streams(
            'r2plus1d_34{}_kinetics',
            32,
            (None, 72.0, 90.0),
            (None, 67.5, 87.2),
            (None, 73.9, 90.9),
        ),
    ),
    Table(
        'Table 5: Kinetics, from Sports-1M',
        KINETICS,
        TEN_CLIPS,
        _two_streams(
            'r2plus1d_34{}_kinetics_from_sports1m',
            32,
            (None, 74.3, 91.4),
            (None, 68.5, 88.1),
            (None, 75.4, 91.9),
        ),
    ),
    Table(
        'Table 6: UCF101',
        'UCF101, mean of three splits',
        f'{TEN_CLIPS}; `tools/run_splits.py`',
        _table_6('ucf101', (93.6, 93.3, 95.0), (96.8, 95.5, 97.3)),
    ),
    Table(
        'Table 6: HMDB51',
        'HMDB51, mean of three splits',
        f'{TEN_CLIPS}; `tools/run_splits.py`',
        _table_6('hmdb51', (66.6, 70.1, 72.7), (74.5, 76.4, 78.7)),
    ),
]
"""All results."""

TABLE_3_HOURS = (11.8, 11.8, 59.8, 20.5)
"""Training hours of the rows of Table 3, on 64 GPUs; the last includes its pretraining."""

GPU_HOURS = [(TABLES[1].rows[i], 64 * TABLE_3_HOURS[i]) for i in (0, 2)]
"""Rows of Table 3, and their training hours on 64 GPUs."""
