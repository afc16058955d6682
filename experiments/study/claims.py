"""Compare the claims of the paper with the results of the study, by :data:`RULE`."""

from __future__ import annotations

from math import sqrt
from statistics import fmean, stdev
from typing import List, Mapping, NamedTuple, Sequence

from scipy.stats import t as student

from .paper import TABLE_3_HOURS, TABLES, Row
from .plan import LONG_CLIP, SHORT_CLIP
from .results import ACCURACIES, Result
from .training import EPOCHS

Results = Mapping[str, Sequence[Result]]
"""Results by setting, in the order of seeds."""

Values = List[float]
"""A value for each seed."""

TABLE_2 = {row.network: row for row in TABLES[0].rows if row.frames == SHORT_CLIP}
SHORT, SHORT_ON_LONG, LONG, TUNED = TABLES[1].rows
"""Rows of Table 3."""

RULE = """\
The rule was stated before the run. Each claim is one or more differences that the paper says are
positive. A difference is computed seed by seed, and its mean has a 95% interval (Student's t). It
*holds* if the interval is above zero, is *reversed* if it is below, is *absent* if it includes zero
and is narrower than a third of the paper's difference, and is *undecided* otherwise. A claim holds
if all its differences hold, and does not hold if one is reversed or absent. The intervals are of
single differences: of twenty that are zero, one is expected to exclude zero by chance."""

PLAIN = ('r2d_18', 'fr2d_18')
BEST = 'r2plus1d_18'


class Mean(NamedTuple):
    """A mean over seeds and its 95% interval.

    Attributes:
        mean (float): The mean.
        half (float): Half of the interval's width; infinite for one seed.
    """

    mean: float
    half: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Compute the mean and the interval of values, one per seed."""
        if len(values) < 2:
            return cls(values[0], float('inf'))
        return cls(fmean(values), half_width(stdev(values), len(values)))


def half_width(spread: float, seeds: int) -> float:
    """Return half of the width of the 95% interval of a mean, from the standard deviation."""
    return float(student.ppf(0.975, seeds - 1)) * spread / sqrt(seeds)


class Difference(NamedTuple):
    """A difference that the paper says is positive.

    Attributes:
        what (str): Name of the difference.
        values (list[float]): The difference of accuracy or error, -1 to 1, by seed.
        paper (float, optional): The paper's difference. Defaults to None: the paper has only a
            figure.
    """

    what: str
    values: Values
    paper: float | None = None

    @property
    def verdict(self) -> str:
        """``'holds'``, ``'reversed'``, ``'absent'`` or ``'undecided'``."""
        mean, half = Mean.of(self.values)
        if abs(mean) > half:
            return 'holds' if mean > 0 else 'reversed'
        if self.paper is not None and 2 * half < abs(self.paper) / 3:
            return 'absent'
        return 'undecided'

    @property
    def seeds_needed(self) -> int:
        """Seeds that give a verdict if mean and spread remain as they are, at most 1,000."""
        target = max(abs(fmean(self.values)), abs(self.paper or 0) / 6)
        spread = stdev(self.values)
        return next((n for n in range(2, 1000) if half_width(spread, n) < target), 1000)


class Claim(NamedTuple):
    """A claim of the paper.

    Attributes:
        text (str): The claim.
        source (str): Place of the claim in the paper.
        differences (list[Difference]): Differences that test the claim.
        remark (str): A remark. Defaults to an empty string.
    """

    text: str
    source: str
    differences: list[Difference]
    remark: str = ''

    @property
    def verdict(self) -> str:
        """``'holds'``, ``'does not hold'`` or ``'undecided'``."""
        verdicts = {difference.verdict for difference in self.differences}
        if verdicts & {'reversed', 'absent'}:
            return 'does not hold'
        return 'holds' if verdicts == {'holds'} else 'undecided'


def settle(found: Sequence[Claim], later: Mapping[str, Difference]) -> list[Claim]:
    """Replace undecided differences by those of a later study, given by name."""
    return [
        claim._replace(
            differences=[
                later.get(difference.what, difference)
                if difference.verdict == 'undecided'
                else difference
                for difference in claim.differences
            ]
        )
        for claim in found
    ]


def claims(results: Results) -> list[Claim]:
    """Test the claims of the paper, in its order, whose networks were run."""
    depths = [depth for depth in (18, 34) if f'r3d_{depth}_{SHORT_CLIP}f' in results]
    plain = all(f'{name}_{SHORT_CLIP}f' in results for name in PLAIN)
    return [
        *([motion_modelling(results)] if plain else []),
        factorised(results),
        *(training_error(results, depth) for depth in depths),
        *([training_error_by_depth(results)] if 34 in depths else []),
        longer_clips(results),
        longer_tests(results),
        finetuning(results),
        test_clips(results),
    ]


def motion_modelling(results: Results) -> Claim:
    """Test that networks with convolutions over time beat 2D networks."""
    plain = fmean(published(name) for name in PLAIN)
    baseline = mean_of([accuracy(results, name) for name in PLAIN])
    return Claim(
        'Networks with convolutions over time are more accurate than 2D networks.',
        'Table 2; video@1',
        [
            Difference(
                f'{TABLE_2[name].name} above the mean of R2D and f-R2D',
                minus(accuracy(results, name), baseline),
                published(name) - plain,
            )
            for name in temporal(results)
        ],
    )


def factorised(results: Results) -> Claim:
    """Test that R(2+1)D beats R3D and the mixed networks."""
    return Claim(
        'R(2+1)D is more accurate than R3D and the mixed networks.',
        'Table 2; video@1',
        [
            Difference(
                f'R(2+1)D above {TABLE_2[name].name}',
                minus(accuracy(results, BEST), accuracy(results, name)),
                published(BEST) - published(name),
            )
            for name in temporal(results)
        ],
    )


def training_error(results: Results, depth: int) -> Claim:
    """Test that R(2+1)D is easier to optimise than R3D."""
    return Claim(
        f'R(2+1)D-{depth} has a lower training error than R3D-{depth}, of as many parameters.',
        'Figure 3; training error of the last tenth',
        [Difference(f'R3D-{depth} above R(2+1)D-{depth}', error_gap(results, depth))],
    )


def training_error_by_depth(results: Results) -> Claim:
    """Test that this advantage grows with depth."""
    growth = minus(error_gap(results, 34), error_gap(results, 18))
    return Claim(
        'The difference of training errors is larger at 34 layers.',
        'Figure 3; training error of the last tenth',
        [Difference('R3D above R(2+1)D, at 34 layers above 18', growth)],
    )


def error_gap(results: Results, depth: int) -> Values:
    """Return how much the training error of R3D is above that of R(2+1)D."""
    r3d, r2plus1d = (
        [last_error(result) for result in results[f'{name}_{depth}_{SHORT_CLIP}f']]
        for name in ('r3d', 'r2plus1d')
    )
    return minus(r3d, r2plus1d)


def last_error(result: Result, before: int = 0) -> float:
    """Return the training error of the last tenth of a run, or of one that many tenths before."""
    tenth = EPOCHS // 10
    end = len(result.errors) - before * tenth
    return fmean(result.errors[end - tenth : end])


def longer_clips(results: Results) -> Claim:
    """Test that training on longer clips raises accuracy."""
    return Claim(
        'Training on 32 frames gives more accuracy than training on 8.',
        'Table 3, Figure 5a; R(2+1)D-18',
        between_rows(results, 'from 8 to 32 frames', LONG, SHORT),
    )


def longer_tests(results: Results) -> Claim:
    """Test that testing on longer clips alone does not raise accuracy."""
    return Claim(
        'A network trained on 8 frames does worse when it is tested on 32.',
        'Table 3; R(2+1)D-18',
        between_rows(results, 'on 8 frames above that on 32', SHORT, SHORT_ON_LONG),
    )


def between_rows(results: Results, what: str, upper: Row, lower: Row) -> list[Difference]:
    """Return the differences of clip@1 and video@1 between two rows of Table 3."""
    differences = []
    for metric in ACCURACIES:
        here = dict(zip(TABLES[1].rows, table_3(results, metric)))
        in_paper = paper(upper, metric) - paper(lower, metric)
        differences.append(
            Difference(f'{metric} {what}', minus(here[upper], here[lower]), in_paper)
        )
    return differences


def finetuning(results: Results) -> Claim:
    """Test that finetuning from short to long clips keeps most of the gain of long clips."""
    short, _, long, tuned = table_3(results, 'clip@1')
    halfway = mean_of([short, long])
    in_paper = [paper(row, 'clip@1') for row in (SHORT, LONG, TUNED)]
    seconds = [
        fmean(result.seconds for result in of_table_3(results, name))
        for name in ('8f', '32f', '32f_from_8f')
    ]
    return Claim(
        'Training on 8 frames and finetuning on 32 is nearly as good as training on 32: it keeps '
        'more than half of the gain.',
        'Table 3; R(2+1)D-18, clip@1',
        [
            Difference('finetuned above 8 frames', minus(tuned, short), in_paper[2] - in_paper[0]),
            Difference(
                'finetuned above the mean of 8 and 32 frames',
                minus(tuned, halfway),
                in_paper[2] - fmean(in_paper[:2]),
            ),
        ],
        f'Both trainings together took {(seconds[0] + seconds[2]) / seconds[1]:.0%} of the CPU '
        f'time of training on 32 frames; in the paper {TABLE_3_HOURS[3] / TABLE_3_HOURS[2]:.0%}.',
    )


def test_clips(results: Results) -> Claim:
    """Test that twenty clips of a video are enough."""
    rows = [result.by_clips for result in results[f'{BEST}_{LONG_CLIP}f']]
    one, twenty, hundred = ([row[count] for row in rows] for count in ('1', '20', '100'))
    most = [0.9 * gain for gain in minus(hundred, one)]
    return Claim(
        'Twenty clips of a video are nearly as good as a hundred: they give nine tenths of the '
        'gain over one clip.',
        'Figure 5b; R(2+1)D-18, 32 frames, video@1',
        [
            Difference('20 clips above one', minus(twenty, one)),
            Difference('20 clips above nine tenths of the gain', minus(minus(twenty, one), most)),
        ],
    )


def temporal(results: Results) -> list[str]:
    """List the networks of Table 2 with convolutions over time, without R(2+1)D."""
    found = (name for name in TABLE_2 if f'{name}_{SHORT_CLIP}f' in results)
    return [name for name in found if name not in (*PLAIN, BEST)]


def accuracy(results: Results, network: str, metric: str = 'video@1') -> Values:
    """Return the accuracy of a network on clips of 8 frames, by seed."""
    found = results[f'{network}_{SHORT_CLIP}f']
    return [result.tests[str(SHORT_CLIP)][metric] for result in found]


def table_3(results: Results, metric: str) -> list[Values]:
    """Return an accuracy for the rows of Table 3, by seed."""
    rows = [('8f', '8'), ('8f', '32'), ('32f', '32'), ('32f_from_8f', '32')]
    return [
        [result.tests[frames][metric] for result in of_table_3(results, name)]
        for name, frames in rows
    ]


def of_table_3(results: Results, name: str) -> Sequence[Result]:
    """Return the results of a training of R(2+1)D, ``'8f'`` ..., of the seeds that have all."""
    return results[f'{BEST}_{name}'][: len(results[f'{BEST}_32f'])]


def published(network: str) -> float:
    """Return the paper's video@1 in Table 2, 0 to 1."""
    return paper(TABLE_2[network], 'video@1')


def paper(row: Row, metric: str) -> float:
    """Return an accuracy of a row of the paper, 0 to 1."""
    return float(getattr(row, {'clip@1': 'clip1', 'video@1': 'video1'}[metric])) / 100


def minus(values: Values, others: Values) -> Values:
    """Subtract values seed by seed."""
    return [a - b for a, b in zip(values, others)]


def mean_of(settings: Sequence[Values]) -> Values:
    """Return the mean of settings, seed by seed."""
    return [fmean(seed) for seed in zip(*settings)]
