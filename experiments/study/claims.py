"""Compare the claims of the paper with the results of the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import fmean
from typing import NamedTuple

from .paper import TABLES
from .plan import LENGTHS
from .results import ACCURACIES, Results, Values

TABLE_2 = [row for row in TABLES[0].rows if row.frames == LENGTHS[0]]
"""Table 2, trained and tested on 8 frames."""
SHORT, SHORT_ON_LONG, LONG, TUNED = ((r.clip1 or 0.0, r.video1 or 0.0) for r in TABLES[1].rows)
"""clip@1 and video@1 of the rows of Table 3."""
PAPER_HOURS = (11.8, 11.8, 59.8, 20.5)
"""Training hours of these rows, on 64 GPUs."""

PLAIN = ('r2d_18', 'fr2d_18')
MIXED = tuple(f'{r}mc{x}_18' for r in ('', 'r') for x in range(2, 6))


class Comparison(NamedTuple):
    """A difference that a claim is about.

    Attributes:
        what (str): Name of the comparison.
        difference (Values): Difference of accuracy or error, 0 to 1, by seed.
        spread (float): Standard deviation of such a value between seeds, pooled
            over all settings.
        paper (float, optional): The paper's difference, in per cent. Defaults
            to None: the paper has only a figure.
        none_expected (bool): Whether the claim is that there is no difference,
            instead of a positive one. Defaults to False.
    """

    what: str
    difference: Values
    spread: float
    paper: float | None = None
    none_expected: bool = False

    @property
    def verdict(self) -> str:
        """Whether the difference is as claimed: beyond the spread, or within it."""
        mean = self.difference.mean
        if self.none_expected:
            return 'held' if mean <= self.spread else 'did not hold'
        if abs(mean) <= self.spread:
            return 'undecided'
        return 'held' if mean > 0 else 'did not hold'


class Claim(NamedTuple):
    """A claim of the paper.

    Attributes:
        text (str): The claim.
        source (str): Place of the claim in the paper.
        comparisons (list[Comparison]): Comparisons that test the claim.
        remark (str): A remark. Defaults to an empty string.
    """

    text: str
    source: str
    comparisons: list[Comparison]
    remark: str = ''

    @property
    def verdict(self) -> str:
        """``'held'`` if all comparisons held, ``'did not hold'`` if one did not."""
        verdicts = {comparison.verdict for comparison in self.comparisons}
        return next(v for v in ('did not hold', 'undecided', 'held') if v in verdicts)


def claims(results: Mapping[str, Results]) -> list[Claim]:
    """Test the claims of the paper.

    Args:
        results (Mapping[str, Results]): Results by setting.

    Returns:
        list[Claim]: The claims, in the order of the paper.
    """
    return [
        forms_of_convolution(results),
        training_error(results),
        longer_clips(results),
        longer_tests(results),
        finetuning(results),
        test_clips(results),
    ]


def forms_of_convolution(results: Mapping[str, Results]) -> Claim:
    """Test that accuracy rises: 2D < mixed < 3D < (2+1)D."""
    spread = spread_of_accuracy(results)
    published = {row.network: row.video1 or 0.0 for row in TABLE_2}
    others = [*PLAIN, *MIXED, 'r3d_18']
    best = max(others, key=lambda name: accuracy(results, f'{name}_8f').mean)

    def step(what: str, upper: Sequence[str], lower: Sequence[str]) -> Comparison:
        above, below = (
            mean_of([accuracy(results, f'{name}_8f') for name in names]) for names in (upper, lower)
        )
        paper = fmean(published[name] for name in upper) - fmean(published[name] for name in lower)
        return Comparison(what, above - below, spread, paper)

    return Claim(
        'At equal depth and input, accuracy rises from 2D by mixed and 3D to (2+1)D convolutions.',
        'Table 2, Figure 4; video@1',
        [
            step('mixed above 2D (means of eight and of two networks)', MIXED, PLAIN),
            step('3D above mixed', ['r3d_18'], MIXED),
            step('(2+1)D above 3D', ['r2plus1d_18'], ['r3d_18']),
            step(f'(2+1)D above the best other one here, {best}', ['r2plus1d_18'], [best]),
        ],
        "In the paper's own table the mixed networks are on average a little above R3D.",
    )


def training_error(results: Mapping[str, Results]) -> Claim:
    """Test that R(2+1)D is easier to optimise than R3D, especially if deeper."""
    errors = {
        name: results[f'{name}_8f'].training_error
        for name in ('r3d_18', 'r2plus1d_18', 'r3d_34', 'r2plus1d_34')
    }
    spread = pooled(errors.values())
    of_18 = errors['r3d_18'] - errors['r2plus1d_18']
    of_34 = errors['r3d_34'] - errors['r2plus1d_34']
    return Claim(
        'R(2+1)D has a lower training error than R3D, and the gap is larger at 34 layers.',
        'Figure 3; training error of the last epoch',
        [
            Comparison('R3D-18 above R(2+1)D-18', of_18, spread),
            Comparison('R3D-34 above R(2+1)D-34', of_34, spread),
            Comparison('the gap at 34 layers above that at 18', of_34 - of_18, spread * sqrt(2)),
        ],
    )


def longer_clips(results: Mapping[str, Results]) -> Claim:
    """Test that longer clips raise clip accuracy more than video accuracy."""
    clip = gain(results, 'clip@1')
    difference = LONG[0] - SHORT[0] - (LONG[1] - SHORT[1])
    video = gain(results, 'video@1')
    spread = spread_of_accuracy(results)
    return Claim(
        'Longer clips raise the accuracy of clips, and less that of videos.',
        'Table 3, Figure 5a; R(2+1)D-18, 8 to 32 frames',
        [
            Comparison('gain of clip@1', clip, spread, LONG[0] - SHORT[0]),
            Comparison('gain of video@1', video, spread, LONG[1] - SHORT[1]),
            Comparison('the former above the latter', clip - video, spread, difference),
        ],
    )


def gain(results: Mapping[str, Results], metric: str) -> Values:
    """Return the gain of R(2+1)D-18 from training on 32 frames instead of 8."""
    longer = accuracy(results, 'r2plus1d_18_32f', metric)
    return longer - accuracy(results, 'r2plus1d_18_8f', metric)


def longer_tests(results: Mapping[str, Results]) -> Claim:
    """Test that testing on longer clips alone does not give the gain."""
    spread = spread_of_accuracy(results)
    short, long = (results['r2plus1d_18_8f'].tests[frames] for frames in (8, 32))
    falls = [on_8 - on_32 for on_8, on_32 in zip(SHORT, SHORT_ON_LONG)]
    return Claim(
        'A network trained on 8 frames does worse when it is tested on 32.',
        'Table 3; R(2+1)D-18',
        [
            Comparison(f'{metric} on 8 above that on 32', short[metric] - long[metric], spread, by)
            for metric, by in zip(ACCURACIES, falls)
        ],
    )


def finetuning(results: Mapping[str, Results]) -> Claim:
    """Test that finetuning from short to long clips is the best trade-off."""
    spread = spread_of_accuracy(results)
    short, long = (accuracy(results, f'r2plus1d_18_{frames}f') for frames in (8, 32))
    tuned = accuracy(results, 'r2plus1d_18_32f_from_8f')
    times = {s: results[f'r2plus1d_18_{s}'].seconds.mean for s in ('8f', '32f', '32f_from_8f')}
    share = (times['8f'] + times['32f_from_8f']) / times['32f']
    return Claim(
        'Training on 8 frames and finetuning on 32 is nearly as good as training on 32, in a part '
        'of the time.',
        'Table 3; R(2+1)D-18, video@1',
        [
            Comparison('finetuned above 8 frames', tuned - short, spread, TUNED[1] - SHORT[1]),
            Comparison(
                'from scratch above finetuned', long - tuned, spread, LONG[1] - TUNED[1], True
            ),
        ],
        f'Both trainings together took {share:.0%} of the time from scratch; in the paper '
        f'{PAPER_HOURS[3] / PAPER_HOURS[2]:.0%}.',
    )


def test_clips(results: Mapping[str, Results]) -> Claim:
    """Test that about twenty clips of a video are enough."""
    by_clips = results['r2plus1d_18_32f'].by_clips
    spread = spread_of_accuracy(results)
    return Claim(
        'Twenty clips of a video are nearly as good as a hundred.',
        'Figure 5b; R(2+1)D-18, 32 frames, video@1',
        [
            Comparison('20 clips above one', by_clips[20] - by_clips[1], spread),
            Comparison('100 clips above 20', by_clips[100] - by_clips[20], spread, 0.5, True),
        ],
    )


def accuracy(results: Mapping[str, Results], setting: str, metric: str = 'video@1') -> Values:
    """Return the accuracy of a setting, tested with the clip length of its training."""
    return next(iter(results[setting].tests.values()))[metric]


def mean_of(settings: Sequence[Values]) -> Values:
    """Return the mean of settings, seed by seed."""
    return Values(tuple(fmean(seed) for seed in zip(*(v.each for v in settings))))


def spread_of_accuracy(results: Mapping[str, Results]) -> float:
    """Return the standard deviation of video@1 between seeds, pooled over settings."""
    return pooled(accuracy(results, setting) for setting in results)


def pooled(settings: Iterable[Values]) -> float:
    """Return the standard deviation between seeds, pooled over settings."""
    return sqrt(fmean(values.spread**2 for values in settings))
