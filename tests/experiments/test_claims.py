from pathlib import Path

import pytest
from invented_results import results

from experiments.study import SCALES, claims, plan, report
from experiments.study.results import Values

AS_CLAIMED = {
    'r2d_18_8f': 0.3,
    'fr2d_18_8f': 0.3,
    'r3d_18_8f': 0.6,
    'r2plus1d_18_8f': 0.7,
    'r2plus1d_18_8f_on_32f': 0.65,
    'r2plus1d_18_32f': 0.8,
    'r2plus1d_18_32f_from_8f': 0.8,
    'r3d_18_8f error': 0.45,
    'r3d_34_8f error': 0.5,
    1: 0.4,
}


def verdicts(changes):
    found = claims.claims(results({**AS_CLAIMED, **changes}))
    return [claim.verdict for claim in found]


def test_claims_that_held():
    """But for the gain of videos, which here is that of clips."""
    assert verdicts({}) == ['held', 'held', 'undecided', 'held', 'held', 'held']


@pytest.mark.parametrize(
    ('claim', 'changes'),
    [
        (0, {'r3d_18_8f': 0.4}),
        (0, {'rmc4_18_8f': 0.75}),
        (1, {'r3d_34_8f error': 0.42}),
        (2, {'r2plus1d_18_32f': 0.6}),
        (3, {'r2plus1d_18_8f_on_32f': 0.75}),
        (4, {'r2plus1d_18_32f_from_8f': 0.75}),
        (5, {100: 0.6}),
    ],
)
def test_claims_that_did_not_hold(claim, changes):
    assert verdicts(changes)[claim] == 'did not hold'


def test_a_difference_within_the_spread_is_undecided():
    assert verdicts({'r2plus1d_18_8f': 0.6})[0] == 'undecided'


def test_spread_is_pooled():
    assert claims.pooled([Values((1.0, 3.0)), Values((5.0, 5.0))]) == pytest.approx(1)
    assert (Values((3.0, 5.0)) - Values((1.0, 2.0))).each == (2, 3)


def test_paper_columns():
    """The paper's differences are those of its tables."""
    found = claims.claims(results({}))
    published = [c.paper for claim in found for c in claim.comparisons]
    expected = [2.84, -0.49, 3.0, None, None, None, None, 7.3, 4.6, 2.7, 1.2, 5.8, 3.2, 1.4]
    for value, number in zip(published, expected):
        if number is not None:
            assert value == pytest.approx(number, abs=0.01)


def test_report(tmp_path, monkeypatch):
    """Table 2 beside the paper's, all figures, and a page that needs no other file."""
    monkeypatch.setattr(report, 'read_results', lambda *_: results(AS_CLAIMED))
    paths = report.write_report(plan.runs(3), SCALES['small'], tmp_path, 'cpu', 'study.py')
    markdown, html = (path.read_text() for path in paths)
    assert '| f-R2D' in markdown
    assert '| 48.1' in markdown
    assert '30.0 ± 0.1' in markdown
    assert html.count('src="data:image/png;base64,') == 4
    assert 'src="figures' not in html
    assert html.count('<table>') >= 10
    for name in ('3', '4', '5a', '5b'):
        assert Path(tmp_path, f'figures/figure_{name}.png').stat().st_size > 5000
        assert f'(figures/figure_{name}.png)' in markdown
