"""Train a network of r21d_plugin on PyTorchVideo's LabeledVideoDataset, and test it.

The data are folders with a folder of .mp4 and .avi files for each class, or
text files with a line "path label" for each video. The checkpoint has the names
of r21d_plugin.create_model, which loads it.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from tqdm import tqdm

from r21d_plugin import InputError, list_models
from r21d_plugin.cli.errors import errors_in_one_line
from r21d_plugin.weights import save_checkpoint

with errors_in_one_line():
    from r21d_plugin.pytorchvideo import create_net, state_dict_from_net

from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler
from pytorchvideo.data.clip_sampling import ClipSampler
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths

MEAN, STD = (110.201, 100.64, 95.9966), (58.1489, 56.4701, 55.3324)
"""Mean and deviation of RGB from 0 to 255, those of the authors."""

SIZE, CROP = (128, 171), 112
"""Height and width to which frames are resized, and side of the crop."""


def parse_args() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('train', help='training videos: folder or list')
    parser.add_argument('val', help='test videos likewise')
    parser.add_argument(
        '--network',
        choices=list_models(),
        default='r2plus1d_18',
        metavar='NAME',
        help='of r21d_plugin.list_models (r2plus1d_18)',
    )
    parser.add_argument('--width', type=positive, default=64, help='filters of conv1 (64)')
    parser.add_argument('--frames', type=positive, default=8, help='frames of a clip (8)')
    parser.add_argument('--fps', type=positive, default=30, help='frames that a second has (30)')
    parser.add_argument('--clips', type=positive, default=10, help='test clips of a video (10)')
    parser.add_argument('--epochs', type=positive, default=10, help='passes over the videos (10)')
    parser.add_argument('--batch-size', type=positive, default=8, help='clips of a step (8)')
    parser.add_argument('--lr', type=float, default=0.01, help='learning rate at first (0.01)')
    parser.add_argument('--workers', type=positive, default=2, help='processes that decode (2)')
    parser.add_argument('--seed', type=int, default=0, help='seed (0)')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/pytorchvideo.pth'),
        help='checkpoint to write (work_dirs/pytorchvideo.pth)',
    )
    args = parser.parse_args()
    if not args.lr > 0:
        parser.error(f'--lr {args.lr} is not above 0')
    return args


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not above 0')
    return int(text)


def main() -> None:
    """Parse the arguments and run."""
    args = parse_args()
    with errors_in_one_line():
        run(args)


def run(args: argparse.Namespace) -> None:
    """Train, save a checkpoint and test."""
    torch.manual_seed(args.seed)
    train_videos, val_videos = read_videos(args.train), read_videos(args.val)
    classes = count_classes(args, train_videos, val_videos)
    duration = Fraction(args.frames, args.fps)
    net = create_net(
        args.network, model_num_class=classes, stem_dim_out=args.width, clip_len=args.frames
    ).to('cuda' if torch.cuda.is_available() else 'cpu')
    optimizer = torch.optim.SGD(net.parameters(), args.lr, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    random_clips = make_clip_sampler('random', duration)
    train_loader = make_loader(train_videos, random_clips, args, training=True)
    even_clips = make_clip_sampler('constant_clips_per_video', duration, args.clips)
    val_loader = make_loader(val_videos, even_clips, args, training=False)

    total = args.epochs * len(train_videos) + args.clips * len(val_videos)
    with tqdm(total=total, unit='clip') as progress:
        for epoch in range(args.epochs):
            progress.set_description(f'epoch {epoch + 1}')
            for batch in all_clips(train_loader, train_videos, 1, progress):
                loss = train_step(net, batch, optimizer)
                progress.set_postfix(loss=f'{loss:.3f}')
            schedule.step()
            save_checkpoint(dict(state_dict=state_dict_from_net(net.state_dict())), args.out)
        progress.set_description('test')
        batches = all_clips(val_loader, val_videos, args.clips, progress)
        clip_accuracy, video_accuracy = evaluate(net, batches, len(val_videos), classes)
    print(f'clip@1 {clip_accuracy:.1%}, video@1 {video_accuracy:.1%}: {args.out}')


def read_videos(path: str) -> LabeledVideoPaths:
    """Find the videos of a folder or a list, and their labels.

    Raises:
        InputError: If there are none, or one lacks its file or its label.
    """
    try:
        videos = LabeledVideoPaths.from_path(path)
    except (AssertionError, OSError, ValueError) as error:
        raise InputError(
            f'{path}: no folder with a folder of .mp4 or .avi files for each class, and no list of '
            f'lines "path label": {error}'
        ) from error
    for video, info in videos:
        if not Path(video).exists():
            raise InputError(f'{path}: no such video: {video}')
        if info['label'] < 0:
            raise InputError(f'{path}: no label after {video}')
    return videos


def count_classes(
    args: argparse.Namespace, train_videos: LabeledVideoPaths, val_videos: LabeledVideoPaths
) -> int:
    """Return the number of classes.

    Raises:
        InputError: If the test videos have other classes than the training videos.
    """
    if Path(args.train).is_dir() and Path(args.val).is_dir():
        # Classes are numbered in alphabetical order, in either folder by itself.
        only_one = class_folders(args.train) ^ class_folders(args.val)
        if only_one:
            raise InputError(f'only one of {args.train} and {args.val} has a class {min(only_one)}')
    classes = 1 + max(info['label'] for _, info in train_videos)
    highest = max(info['label'] for _, info in val_videos)
    if highest >= classes:
        raise InputError(f'{args.val}: label {highest} is above all of {args.train}')
    return classes


def class_folders(path: str) -> set[str]:
    """Return the names of the folders in a folder."""
    return {folder.name for folder in Path(path).iterdir() if folder.is_dir()}


def make_loader(
    videos: LabeledVideoPaths,
    clip_sampler: ClipSampler,
    args: argparse.Namespace,
    training: bool,
) -> DataLoader:
    """Build the loader of batches of clips."""
    dataset = LabeledVideoDataset(
        videos,
        clip_sampler,
        video_sampler=RandomSampler if training else SequentialSampler,
        transform=partial(prepare_clip, frames=args.frames, training=training),
        decode_audio=False,
    )
    # It stops after ten broken videos in a row without naming them; all_clips names them.
    dataset._MAX_CONSECUTIVE_FAILURES = len(videos) + 1
    return DataLoader(dataset, args.batch_size, num_workers=args.workers)


def prepare_clip(sample: dict, frames: int, training: bool) -> dict:
    """Make what the network takes of a clip: frames evenly taken, resized, cropped, normalised.

    Args:
        sample (dict): With ``video``, C x T x H x W from 0 to 255.
        frames (int): Frames to take.
        training (bool): Whether to crop anywhere and mirror every other clip.

    Returns:
        dict: ``video``, C x frames x 112 x 112, ``label`` and ``video_index``.
    """
    video: Tensor = sample['video']
    taken = torch.linspace(0, video.shape[1] - 1, frames).round().long()
    video = F.interpolate(video[:, taken], SIZE, mode='bilinear')
    rests = [side - CROP for side in SIZE]
    top, left = (random.randint(0, rest) if training else rest // 2 for rest in rests)
    video = video[..., top : top + CROP, left : left + CROP]
    if training and random.random() < 0.5:
        video = video.flip(-1)
    mean, std = (torch.tensor(values).view(3, 1, 1, 1) for values in (MEAN, STD))
    return dict(
        video=(video - mean) / std, label=sample['label'], video_index=sample['video_index']
    )


def all_clips(
    loader: DataLoader, videos: LabeledVideoPaths, clips: int, progress: tqdm
) -> Iterator[dict]:
    """Go through so many clips of every video.

    Raises:
        InputError: If a video gave fewer: LabeledVideoDataset skips what does
            not decode.
    """
    seen = torch.zeros(len(videos), dtype=torch.long)
    for batch in loader:
        yield batch
        seen += batch['video_index'].bincount(minlength=len(videos))
        progress.update(len(batch['video_index']))
    broken = (seen < clips).nonzero().flatten().tolist()
    if broken:
        raise InputError(
            f'{videos[broken[0]][0]}: does not decode ({len(broken)} of {len(videos)} videos): '
            'replace or remove it'
        )


def train_step(net: nn.Module, batch: dict, optimizer: torch.optim.Optimizer) -> float:
    """Train on a batch of clips and return the loss."""
    net.train()
    device = next(net.parameters()).device
    loss = F.cross_entropy(net(batch['video'].to(device)), batch['label'].to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def evaluate(
    net: nn.Module, batches: Iterable[dict], videos: int, classes: int
) -> tuple[float, float]:
    """Return the accuracy of clips, and of videos by the mean of their clips' scores."""
    net.eval()
    device = next(net.parameters()).device
    scores = torch.zeros(videos, classes)
    labels = torch.zeros(videos, dtype=torch.long)
    clip_hits = []
    for batch in batches:
        clip_scores = net(batch['video'].to(device)).softmax(dim=1).cpu()
        clip_hits.append(clip_scores.argmax(dim=1) == batch['label'])
        scores.index_add_(0, batch['video_index'], clip_scores)
        labels[batch['video_index']] = batch['label']
    video_hits = scores.argmax(dim=1) == labels
    return torch.cat(clip_hits).float().mean().item(), video_hits.float().mean().item()


if __name__ == '__main__':
    main()
