"""Write the report of the study in Markdown, with figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median

from tabulate import tabulate

from r21d_plugin._atomic import atomic_write
from tools.complexity import measure

from .claims import (
    BEST,
    RULE,
    TABLE_2,
    Claim,
    Difference,
    Mean,
    Results,
    accuracy,
    claims,
    last_error,
    of_table_3,
    settle,
    table_3,
)
from .figures import in_percent, plot_clips, plot_cost, plot_errors
from .paper import TABLE_3_HOURS, TABLES
from .plan import LONG_CLIP, SHORT_CLIP, Scale, runs
from .results import ACCURACIES, best_rate, read_results, tuned_rates
from .training import CROP, EPOCHS
from .videos import ACTIONS, REQUIREMENTS

APART = 0.2
"""Training error, 0 to 1, above the median at which a run is named."""


def write_report(scale: Scale, out: Path) -> Path:
    """Write ``report.md`` and the figures, from the seeds that are finished.

    If the folder has a ``repeat`` of what the study leaves undecided, the report has its verdicts.

    Args:
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.

    Returns:
        Path: The report.

    Raises:
        InputError: If fewer than two seeds are finished, or a file cannot be written.
    """
    results = read_results(runs(scale), out)
    (out / 'figures').mkdir(exist_ok=True)
    plot_errors(results, out / 'figures/figure_3.svg')
    plot_cost(costs(results), out / 'figures/figure_4.svg')
    plot_clips(by_clips(results), out / 'figures/figure_5b.svg')
    with atomic_write(out / 'report.md') as partial:
        partial.write_text('\n\n'.join(sections(scale, results, out)) + '\n', 'utf-8')
    return out / 'report.md'


def sections(scale: Scale, results: Results, out: Path) -> list[str]:
    """Return the sections of the report in Markdown."""
    found, later = claims(results), second_study(out / 'repeat')
    return [
        f"# The paper's comparisons on made videos{', with new seeds' if scale.first_seed else ''}",
        '<!-- Written by python -m experiments.study. -->',
        setting(scale, results),
        '## Claims',
        claims_in_short(found, later),
        RULE,
        *(paragraph(claim) for claim in found),
        '## What remains open',
        open_questions(found, later),
        '## Table 2: forms of convolution',
        'Per cent, with 95% intervals. On the right is video@1 of the classes by what has to be '
        'recognised: the grain of a texture, its motion, both, or the order of two motions.',
        table_of_networks(results),
        '## Figure 3: training error',
        f'Training error in each {1 / EPOCHS:.0%} of the training, with 95% intervals.\n\n'
        '![Figure 3](figures/figure_3.svg)',
        settled(results),
        apart(results),
        '## Figure 4: accuracy and cost',
        '![Figure 4](figures/figure_4.svg)',
        '## Table 3: frames of a clip',
        'R(2+1)D-18. Hours in the paper are those of 64 GPUs; minutes here are CPU time of '
        'training.',
        table_of_lengths(results),
        '## Figure 5b: clips of a video',
        f'R(2+1)D-18 on {LONG_CLIP} frames, from one test of {scale.many_clips} videos with 100 '
        'clips.',
        github(
            [['video@1', *map(in_text, by_clips(results).values())]], ['clips', *by_clips(results)]
        ),
        '![Figure 5b](figures/figure_5b.svg)',
        '## Learning rates',
        learning_rates(scale, out),
        '## Machine',
        machines(results),
    ]


def second_study(folder: Path) -> dict[str, Difference]:
    """Read the differences, by name, of a study of what another left undecided; empty if none."""
    settings = folder / 'settings.json'
    if not settings.is_file():
        return {}
    found = claims(read_results(runs(Scale.read(settings)), folder))
    return {difference.what: difference for claim in found for difference in claim.differences}


def setting(scale: Scale, results: Results) -> str:
    """Describe the runs and the videos."""
    finished, long = len(next(iter(results.values()))), len(results[f'{BEST}_{LONG_CLIP}f'])
    counts = [sum(action.requires == each for action in ACTIONS) for each in REQUIREMENTS]
    return (
        f'Each network is trained with {finished} of the planned {scale.seeds} seeds, from '
        f'{scale.first_seed} on, on {SHORT_CLIP} frames, and R(2+1)D-18 with {long} of '
        f'{scale.long_seeds} on {LONG_CLIP}. '
        'Within a seed, all networks have the same videos, the same clips in the same order, and '
        f'the same seed of their weights. Networks of {scale.width} filters in conv1 (the paper '
        f'has 64) on {SHORT_CLIP} frames of {CROP} x {CROP} pixels are trained on '
        f'{scale.steps * scale.batch_size:,} clips of {scale.train:,} videos by SGD with momentum '
        f'in float32, in batches of {scale.batch_size}; the learning rate falls to zero as a '
        f'cosine. Finetuning has {scale.finetuning_steps / scale.steps:.0%} of these clips. The '
        f'{scale.test:,} test videos are tested with 10 clips. There are {len(ACTIONS)} classes '
        f'(chance is {1 / len(ACTIONS):.1%}) of moving textures: {counts[0]} differ in grain, '
        f'which a single frame shows, {counts[1]} in motion, which it does not, {counts[2]} in '
        f'both, and {counts[3]} in the order of two motions.'
    )


def machines(results: Results) -> str:
    """Say on what the runs were trained, and for how long."""
    found = [result for each in results.values() for result in each]
    hours = sum(result.seconds for result in found) / 3600
    names = ', '.join(sorted({result.machine for result in found}))
    return (
        f'{names}. The training of the {len(found)} runs above took {hours:.1f} hours of '
        'CPU time. `settings.json` has the settings, and `runs/` the result of each run.'
    )


def claims_in_short(found: Sequence[Claim], later: Mapping[str, Difference]) -> str:
    """Format a table of the claims; with the verdicts after a second study, if there is one."""
    header = ['claim of the paper', 'where', 'here']
    rows = [[claim.text, claim.source, claim.verdict] for claim in found]
    if later:
        header.append('with the second study')
        rows = [[*row, claim.verdict] for row, claim in zip(rows, settle(found, later))]
    return github(rows, header)


def paragraph(claim: Claim) -> str:
    """Format the findings about a claim."""
    header = ['difference, points', 'paper', 'here', '95% interval', 'verdict']
    rows = [row_of(difference) for difference in claim.differences]
    parts = [f'**{claim.text}** {claim.source}: {claim.verdict}.', github(rows, header)]
    return '\n\n'.join([*parts, claim.remark] if claim.remark else parts)


def row_of(difference: Difference) -> list[str]:
    """Format a difference and its interval, in points of per cent."""
    mean, half = in_percent(Mean.of(difference.values))
    paper = '' if difference.paper is None else f'{100 * difference.paper:+.1f}'
    interval = f'{mean - half:+.1f} to {mean + half:+.1f}'
    return [difference.what, paper, f'{mean:+.1f}', interval, difference.verdict]


def open_questions(found: Sequence[Claim], later: Mapping[str, Difference]) -> str:
    """List the differences without a verdict, the seeds that each needs, and a second study."""
    rows = [
        [difference.what, claim.source, f'{difference.seeds_needed:,}']
        for claim in found
        for difference in claim.differences
        if difference.verdict == 'undecided'
    ]
    if not rows:
        return 'Every difference has a verdict.'
    text = (
        'These differences are undecided. If mean and spread between seeds remain as they are, the '
        'number of seeds in the table decides them (1,000: at least as many).'
    )
    header = ['difference', 'where', 'seeds']
    if later:
        text += (
            ' They take their verdict from a [second study](repeat/report.md), which has new seeds.'
        )
        header += ['second study, points', '95% interval', 'verdict']
        missing = ['not repeated', '', 'undecided']
        rows = [row + (row_of(later[row[0]])[2:] if row[0] in later else missing) for row in rows]
    return f'{text}\n\n{github(rows, header)}'


def table_of_networks(results: Results) -> str:
    """Format the accuracies of the networks beside the paper's."""
    metrics = (*ACCURACIES, *REQUIREMENTS)
    rows = []
    for network, row in TABLE_2.items():
        if f'{network}_{SHORT_CLIP}f' in results:
            figures = [in_text(Mean.of(accuracy(results, network, metric))) for metric in metrics]
            rows.append([row.name, row.clip1, row.video1, *figures])
    return github(rows, ['network', 'paper clip@1', 'paper video@1', *metrics])


def settled(results: Results) -> str:
    """Say by how much the training error still fell at the end."""
    falls = {
        setting: Mean.of([last_error(r, before=1) - last_error(r) for r in each])
        for setting, each in results.items()
        if '_from_' not in setting
    }
    worst = max(falls, key=lambda setting: falls[setting].mean)
    return (
        'A setting counts as trained if its training error in the last tenth is at most one point '
        'below that in the tenth before, as a mean over seeds. The largest fall is that of '
        f'`{worst}`: {100 * falls[worst].mean:.2f} points.'
    )


def apart(results: Results) -> str:
    """Name the runs that ended far from the others of their setting."""
    found = []
    for each in results.values():
        middle = median(map(last_error, each))
        found += [
            f'`{result.name}` ({last_error(result):.0%}, median {middle:.0%})'
            for result in each
            if last_error(result) > middle + APART
        ]
    return (
        f'Runs with a training error more than {100 * APART:.0f} points above the median of their '
        f'setting, which have not learned what the others have: {", ".join(found) or "none"}.'
    )


def table_of_lengths(results: Results) -> str:
    """Format accuracies by clip length in training and testing beside the paper's."""
    names = ('8f', '8f', '32f', '32f_from_8f')
    minutes = [fmean(r.seconds / 60 for r in of_table_3(results, name)) for name in names]
    minutes[3] += minutes[0]
    columns = [table_3(results, metric) for metric in (*ACCURACIES, *REQUIREMENTS)]
    rows = [
        [
            row.name,
            hours,
            row.clip1,
            row.video1,
            f'{time:.1f}',
            *(in_text(Mean.of(v)) for v in each),
        ]
        for row, hours, time, *each in zip(TABLES[1].rows, TABLE_3_HOURS, minutes, *columns)
    ]
    paper = ['paper hours', 'paper clip@1', 'paper video@1']
    return github(rows, ['frames', *paper, 'minutes', *ACCURACIES, *REQUIREMENTS])


def learning_rates(scale: Scale, out: Path) -> str:
    """Say which learning rates were used, and how they were chosen."""
    if not scale.tuning_seeds:
        return f'{scale.rates[0]:g} for all networks; finetuning has a fifth of it.'
    return (
        f'Mean video@1 after {scale.tuning_steps:,} steps (seeds: {scale.tuning_seeds}), on videos '
        'that no other run sees. The best rate is used for all lengths of clips; finetuning has a '
        f'fifth of it.\n\n{table_of_rates(scale, out)}'
    )


def table_of_rates(scale: Scale, out: Path) -> str:
    """Format the accuracy of each network by learning rate; the best is bold."""
    rows = []
    for network, row in tuned_rates(scale, out).items():
        best = best_rate(row)
        cells = [f'{100 * row[r]:.1f}' if r != best else f'**{100 * row[r]:.1f}**' for r in row]
        rows.append([network, *cells])
    return github(rows, ['network', *(f'{rate:g}' for rate in scale.rates)])


def by_clips(results: Results) -> dict[str, Mean]:
    """Return video@1 by number of clips."""
    rows = [result.by_clips for result in results[f'{BEST}_{LONG_CLIP}f']]
    return {count: Mean.of([row[count] for row in rows]) for count in rows[0]}


def costs(results: Results) -> dict[str, tuple[float, Mean]]:
    """Return GFLOPs of the paper's networks on 8 frames, and their video@1 in the study."""
    return {
        row.name: (measure(name, SHORT_CLIP).gflops, Mean.of(accuracy(results, name)))
        for name, row in TABLE_2.items()
        if f'{name}_{SHORT_CLIP}f' in results
    }


def in_text(found: Mean) -> str:
    """Format a mean and its interval in per cent."""
    mean, half = in_percent(found)
    return f'{mean:.1f} ± {half:.1f}'


def github(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Format a table in Markdown."""
    return tabulate(rows, header, tablefmt='github', disable_numparse=True)
