"""Videos and contestants of the decoding benchmark."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Callable

import av
import cv2
import numpy as np
from mmaction.datasets.transforms import SampleFrames
from mmengine.dataset import Compose

from r21d_plugin.datasets import video_reader

SIZE = (171, 128)  # width and height of the resized frames
FPS = 30

Reader = Callable[[Path, SampleFrames], np.ndarray]
"""Function from a video and its sampling to resized frames, N x H x W x 3 uint8, RGB."""

RESIZE: dict = dict(type='Resize', scale=SIZE, keep_ratio=False)
MMACTION2: dict[str, list[dict]] = {
    'MMAction2, decord': [dict(type='DecordInit'), dict(type='DecordDecode'), RESIZE],
    'MMAction2, PyAV': [dict(type='PyAVInit'), dict(type='PyAVDecode'), RESIZE],
}
"""MMAction2's transforms that open, decode and resize; sampling follows the first one."""


def make_video(path: Path, size: tuple[int, int], frames: int, seed: int) -> Path:
    """Encode moving texture with a little noise as H.264 with FFmpeg's defaults."""
    rng = np.random.default_rng(seed)
    width, height = size
    coarse = rng.uniform(0, 255, (height // 8 + 64, width // 8 + 64, 3)).astype(np.float32)
    canvas = cv2.resize(coarse, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC).clip(0, 255)
    noise = rng.normal(0, 5, (height, width + frames, 1)).astype(np.float32)
    with av.open(str(path), 'w') as container:
        stream: Any = container.add_stream('libx264', rate=FPS, options=dict(threads='1'))
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        for i in range(frames):
            x, y = (round(200 * (1 + wave(i / 40)) / 2) for wave in (np.sin, np.cos))
            picture = canvas[y : y + height, x : x + width] + noise[:, i : i + width]
            image = picture.clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    return path


def readers() -> dict[str, Reader]:
    """Return the readers of clips by installed packages, ours first."""
    found: dict[str, Reader] = {
        'ours': partial(read_by_ours, False),
        'ours, video seen before': partial(read_by_ours, True),
    }
    found.update({name: partial(read_by_steps, steps) for name, steps in MMACTION2.items()})
    with suppress(ImportError, OSError, RuntimeError):
        import torchcodec.decoders  # noqa: F401

        found['torchcodec'] = read_by_torchcodec
    with suppress(ImportError):
        import pytorchvideo.data.encoded_video_pyav  # noqa: F401

        found['PyTorchVideo'] = read_by_pytorchvideo
    return found


def read_by_steps(steps: list[dict], video: Path, sample: SampleFrames) -> np.ndarray:
    """Read with transforms that open, decode and resize."""
    first, *rest = Compose(steps).transforms
    results = dict(filename=str(video), start_index=0, modality='RGB')
    return np.stack(Compose([first, sample, *rest])(results)['imgs'])


def read_by_ours(seen: bool, video: Path, sample: SampleFrames) -> np.ndarray:
    """Read with our transforms, with or without the cached index of the video."""
    if not seen:
        video_reader.KNOWN_INDEXES.clear()
    steps: list[dict] = [
        dict(type='r21d_plugin.OpenVideo', strict=sample.test_mode),
        dict(type='r21d_plugin.ReadFrames', scale=SIZE),
    ]
    return read_by_steps(steps, video, sample)


def numbers_of(sample: SampleFrames, frames: int) -> np.ndarray:
    """Return the frame numbers of all clips, clips x frames."""
    results = sample.transform(dict(total_frames=frames, start_index=0))
    return results['frame_inds'].reshape(-1, sample.clip_len)


def read_by_torchcodec(video: Path, sample: SampleFrames) -> np.ndarray:
    """Read with torchcodec, by frame number, in one thread."""
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(str(video), dimension_order='NHWC', num_ffmpeg_threads=1)
    numbers = numbers_of(sample, len(decoder)).ravel()
    frames = decoder.get_frames_at(numbers.tolist()).data.numpy()
    return np.stack([cv2.resize(frame, SIZE) for frame in frames])


def read_by_pytorchvideo(video: Path, sample: SampleFrames) -> np.ndarray:
    """Read with PyTorchVideo, by time, one clip after the other."""
    from pytorchvideo.data.encoded_video_pyav import EncodedVideoPyAV

    with video.open('rb') as file:
        source = EncodedVideoPyAV(file, decode_audio=False)
        clips = []
        for clip in numbers_of(sample, round(source.duration * FPS)):
            # Use times between frames, because PyTorchVideo rounds the ends.
            span = [(number - 0.5) / FPS for number in (clip[0], clip[-1] + 1)]
            found = source.get_clip(max(span[0], 0.0), span[1])['video']
            clips.append(found.permute(1, 2, 3, 0).byte().numpy())
    return np.stack([cv2.resize(frame, SIZE) for clip in clips for frame in clip])
