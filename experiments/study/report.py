"""Write the report of the study as Markdown and as one HTML page with embedded figures."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from tabulate import tabulate

from experiments.machine import processor_name
from r21d_plugin._atomic import atomic_write
from r21d_plugin._errors import InputError
from tools.complexity import measure

from .claims import PAPER_HOURS, TABLE_2, Claim, accuracy, claims
from .figures import plot_clips, plot_cost, plot_errors, plot_lengths
from .hard_motion import ACTIONS
from .paper import TABLES
from .plan import LENGTHS, Run, Scale
from .results import ACCURACIES, REQUIREMENTS, Results, Values, read_results

try:
    from markdown import markdown
except ModuleNotFoundError as error:
    raise InputError(f"{error}: pip install 'r21d_plugin[study]'") from error

PACKAGES = ('r21d_plugin', 'torch', 'mmengine', 'mmaction2', 'av')

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; }}
th, td {{ border-bottom: 1px solid #ccc; padding: 0.2rem 0.6rem; text-align: left; }}
img {{ max-width: 100%; }}
</style>
{body}
</html>
"""


def write_report(
    planned: Sequence[Run], scale: Scale, out: Path, device: str, command: str
) -> list[Path]:
    """Write ``report.md``, ``report.html`` and the figures of a finished study.

    Args:
        planned (Sequence[Run]): The runs of the study.
        scale (Scale): Scale of the study.
        out (Path): Folder of the study.
        device (str): Device of the study, ``'cpu'`` or ``'cuda'``.
        command (str): Command that ran the study.

    Returns:
        list[Path]: The two reports.

    Raises:
        InputError: If a run is not finished, or a file cannot be written.
    """
    results = read_results(planned, scale, out)
    figures = out / 'figures'
    figures.mkdir(exist_ok=True)
    plot_errors(results, figures / 'figure_3.png')
    plot_cost(costs(results), figures / 'figure_4.png')
    plot_lengths(lengths(results), figures / 'figure_5a.png')
    plot_clips(results['r2plus1d_18_32f'].by_clips, figures / 'figure_5b.png')
    text = '\n\n'.join(sections(results, setting(planned, scale, device, command, results))) + '\n'
    with atomic_write(out / 'report.md') as partial:
        partial.write_text(text)
    with atomic_write(out / 'report.html') as partial:
        partial.write_text(page(text, out))
    return [out / 'report.md', out / 'report.html']


def page(text: str, out: Path) -> str:
    """Convert Markdown to an HTML page with embedded figures."""
    html = markdown(text, extensions=['tables'])
    body = re.sub(r'src="([^"]+)"', lambda m: f'src="{embedded(out / m[1])}"', html)
    return PAGE.format(title=text.partition('\n')[0].lstrip('# '), body=body)


def embedded(picture: Path) -> str:
    """Encode an image as a data URI."""
    return f'data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}'


def sections(results: Mapping[str, Results], run: str) -> list[str]:
    """Return the sections of the report in Markdown."""
    found = claims(results)
    return [
        "# The paper's comparison on the harder motion dataset",
        run,
        '## Claims',
        claims_in_short(found),
        *(paragraph(claim) for claim in found),
        '## Table 2: forms of convolution',
        'Accuracies in per cent, mean ± standard deviation over seeds; on the right video@1 of the '
        'classes by what has to be seen to recognise them.',
        table_2(results),
        '## Figure 3: training and testing error',
        'R3D and R(2+1)D, mean over seeds.\n\n![Figure 3](figures/figure_3.png)',
        '## Figure 4: accuracy and cost',
        '![Figure 4](figures/figure_4.png)',
        '## Table 3 and Figure 5a: frames of a clip',
        'R(2+1)D-18. Hours in the paper are those of 64 GPUs, minutes here are of training steps.',
        table_3(results),
        '![Figure 5a](figures/figure_5a.png)',
        '## Figure 5b: clips of a video',
        'R(2+1)D-18 of 32 frames, from one test with 100 clips of five videos of each class.',
        table_5b(results),
        '![Figure 5b](figures/figure_5b.png)',
    ]


def setting(
    planned: Sequence[Run], scale: Scale, device: str, command: str, results: Mapping[str, Results]
) -> str:
    """Describe the runs, the data and the machine."""
    seeds = 1 + max(run.seed for run in planned)
    counts = [
        sum(a.requires == requirement for a in ACTIONS.values()) for requirement in REQUIREMENTS
    ]
    kinds = ', '.join(f'{n} {name}' for n, name in zip(counts, REQUIREMENTS))
    packages = ', '.join(f'{name} {version(name)}' for name in PACKAGES)
    hours = sum(sum(each.seconds.each) for each in results.values()) / 3600
    return (
        f'{len(planned)} runs, {seeds} of each from different seeds: networks of {scale.width} '
        f'filters in conv1 (the paper has 64) on crops of 48 x 48 pixels, {scale.epochs} epochs of '
        f'{scale.epoch_size:,} clips, {scale.finetuning} of finetuning; {scale.train:,} training '
        f'and {scale.val:,} validation videos of {len(ACTIONS)} classes (chance is '
        f'{1 / len(ACTIONS):.1%}), by what they require: {kinds}. Tested with 10 clips of a video '
        f'unless said.\n\nRun by `{command}` on {machine(device)} with {packages}; training took '
        f'{hours:.1f} hours of one process.'
    )


def machine(device: str) -> str:
    """Name the GPU or CPU."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    return f'{os.cpu_count()} cores of {processor_name()}'


def claims_in_short(found: Sequence[Claim]) -> str:
    """Format a table of the claims."""
    rows = [[claim.text, claim.source, claim.verdict] for claim in found]
    return github(rows, ['claim of the paper', 'where', 'here'])


def paragraph(claim: Claim) -> str:
    """Format the findings about a claim."""
    rows = []
    for comparison in claim.comparisons:
        paper = '' if comparison.paper is None else f'{comparison.paper:+.1f}'
        here = f'{100 * comparison.difference.mean:+.1f}'
        spread = f'{100 * comparison.spread:.1f}'
        rows.append([comparison.what, paper, here, spread, comparison.verdict])
    header = ['points of per cent', 'paper', 'here', 'spread of seeds', 'verdict']
    parts = [f'**{claim.text}** {claim.source}: {claim.verdict}.', github(rows, header)]
    return '\n\n'.join([*parts, claim.remark] if claim.remark else parts)


def table_2(results: Mapping[str, Results]) -> str:
    """Format the accuracies of the twelve networks beside the paper's."""
    rows = []
    for row in TABLE_2:
        found = results[f'{row.network}_8f'].tests[8]
        figures = [format_values(found[name]) for name in (*ACCURACIES, *REQUIREMENTS)]
        rows.append([row.name, row.clip1, row.video1, *figures])
    return github(rows, ['network', 'paper clip@1', 'paper video@1', *ACCURACIES, *REQUIREMENTS])


def table_3(results: Mapping[str, Results]) -> str:
    """Format accuracies by clip length in training and testing beside the paper's."""
    settings = [('8f', 8), ('8f', 32), ('32f', 32), ('32f_from_8f', 32)]
    times = {name: results[f'r2plus1d_18_{name}'].seconds.mean / 60 for name, _ in settings}
    times['32f_from_8f'] += times['8f']
    rows = []
    for (name, frames), hours, row in zip(settings, PAPER_HOURS, TABLES[1].rows):
        found = results[f'r2plus1d_18_{name}'].tests[frames]
        figures = [format_values(found[name]) for name in (*ACCURACIES, *REQUIREMENTS)]
        minutes = f'{times[name]:.1f}'
        rows.append([row.name, hours, row.clip1, row.video1, minutes, *figures])
    paper = ['paper hours', 'paper clip@1', 'paper video@1']
    return github(rows, ['frames', *paper, 'minutes', *ACCURACIES, *REQUIREMENTS])


def table_5b(results: Mapping[str, Results]) -> str:
    """Format video@1 by number of clips."""
    by_clips = results['r2plus1d_18_32f'].by_clips
    return github(
        [['video@1', *map(format_values, by_clips.values())]], ['clips', *map(str, by_clips)]
    )


def costs(results: Mapping[str, Results]) -> dict[str, tuple[float, Values]]:
    """Return GFLOPs of the paper's networks on 8 frames, and their video@1 in the study."""
    return {
        row.name: (
            measure(row.network, LENGTHS[0]).gflops,
            accuracy(results, f'{row.network}_8f'),
        )
        for row in TABLE_2
    }


def lengths(results: Mapping[str, Results]) -> dict[str, dict[int, Values]]:
    """Return accuracies of R(2+1)D-18 by metric and frames per clip."""
    return {
        metric: {n: accuracy(results, f'r2plus1d_18_{n}f', metric) for n in LENGTHS}
        for metric in ACCURACIES
    }


def format_values(values: Values) -> str:
    """Format mean and spread in per cent."""
    return f'{100 * values.mean:.1f} ± {100 * values.spread:.1f}'


def github(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """Format a table in Markdown."""
    return tabulate(rows, header, tablefmt='github', disable_numparse=True)
