import pytest
from invented_results import results

from experiments.study import claims
from experiments.study.claims import Difference, Mean
from experiments.study.plan import SCALES

AS_CLAIMED = {
    'r2d_18_8f': 0.3,
    'fr2d_18_8f': 0.3,
    'r2plus1d_18_8f': 0.7,
    'r2plus1d_18_8f on 32': 0.65,
    'r2plus1d_18_32f': 0.8,
    'r2plus1d_18_32f_from_8f': 0.79,
    'r3d_18_8f error': 0.45,
    1: 0.4,
}


def verdicts(changes, **options):
    found = claims.claims(results({**AS_CLAIMED, **changes}, **options))
    return [claim.verdict for claim in found]


def test_claims_that_hold():
    assert verdicts({}) == ['holds'] * 7


@pytest.mark.parametrize(
    ('claim', 'changes'),
    [
        (0, {'r3d_18_8f': 0.2}),
        (1, {'mc3_18_8f': 0.75}),
        (2, {'r3d_18_8f error': 0.35}),
        (3, {'r2plus1d_18_32f': 0.6}),
        (4, {'r2plus1d_18_8f on 32': 0.75}),
        (5, {'r2plus1d_18_32f_from_8f': 0.72}),
        (6, {20: 0.42}),
    ],
)
def test_claims_that_do_not_hold(claim, changes):
    assert verdicts(changes)[claim] == 'does not hold'


def test_claims_of_some_networks():
    """Those of other networks are left out."""
    found = claims.claims(results(AS_CLAIMED, scale=SCALES['repeat']))
    assert [claim.verdict for claim in found] == ['holds'] * 6
    assert [difference.what for difference in found[0].differences] == [
        'R(2+1)D above R3D',
        'R(2+1)D above rMC3',
    ]


def test_claims_of_34_layers():
    scale = SCALES['tiny']._replace(networks=SCALES['full'].networks)
    held = {'r3d_34_8f error': 0.5}
    assert verdicts(held, scale=scale) == ['holds'] * 9
    assert verdicts({}, scale=scale)[3:5] == ['undecided', 'does not hold']


def test_interval():
    """Student's t of 3 seeds is 4.303 at 97.5%, and the standard error here is 1 / sqrt(3)."""
    mean, half = Mean.of([1.0, 2.0, 3.0])
    assert mean == 2
    assert half == pytest.approx(4.3027 / 3**0.5, abs=1e-3)
    assert Mean.of([1.0]).half == float('inf')


@pytest.mark.parametrize(
    ('values', 'paper', 'verdict'),
    [
        ([0.02, 0.03, 0.04], 0.03, 'holds'),
        ([-0.02, -0.03, -0.04], 0.03, 'reversed'),
        ([-0.001, 0.0, 0.001], 0.03, 'absent'),
        ([-0.001, 0.0, 0.001], None, 'undecided'),
        ([-0.002, 0.0, 0.002], 0.03, 'absent'),
        ([-0.0021, 0.0, 0.0021], 0.03, 'undecided'),
    ],
)
def test_rule(values, paper, verdict):
    """The last two intervals are just below and just above 1 point wide, a third of 3."""
    assert Difference('', values, paper).verdict == verdict


def test_seeds_needed():
    """Student's t over the root of the seeds is 1.05 for 6 seeds and 0.92 for 7."""
    assert Difference('', [0.0, 1.0, 2.0]).seeds_needed == 7
    assert Difference('', [-1.0, 0.0, 1.0], paper=6.0).seeds_needed == 7
    assert Difference('', [-1.0, 0.0, 1.0]).seeds_needed == 1000


def test_differences_are_paired():
    """A spread that all networks of a seed share does not count."""
    spread = {**AS_CLAIMED, 'r3d_18_8f': 0.69}
    found = results(spread, spread=0.0)
    for name in ('r2plus1d_18_8f', 'r3d_18_8f'):
        for seed, result in enumerate(found[name]):
            for metric in result.tests['8']:
                result.tests['8'][metric] += 0.1 * seed
    difference = next(d for d in claims.factorised(found).differences if 'R3D' in d.what)
    assert difference.values == pytest.approx([0.01] * 3)


def test_paper_columns():
    """The paper's differences are those of its tables, in points."""
    found = claims.claims(results({}))
    published = [d.paper and round(100 * d.paper, 2) for claim in found for d in claim.differences]
    assert published == [
        *(2.35, 3.45, 2.85),
        *(3.0, 1.9, 2.5),
        None,
        *(7.3, 4.6),
        *(1.2, 5.8),
        *(7.0, 3.35),
        *(None, None),
    ]
