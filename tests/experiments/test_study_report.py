import json
from xml.etree import ElementTree

from invented_results import results

from experiments.study import report
from experiments.study.plan import SCALES

TINY = SCALES['tiny']


def test_report(tmp_path, monkeypatch):
    """Tables beside the paper's numbers, intervals, and figures as SVG."""
    accuracies = {'fr2d_18_8f': 0.3, 'r2plus1d_18_8f': 0.55}
    monkeypatch.setattr(report, 'read_results', lambda *_: results(accuracies))
    rates = {name: {0.03: 0.25, 0.1: 0.5} for name in TINY.networks}
    monkeypatch.setattr(report, 'tuned_rates', lambda *_: rates)
    text = report.write_report(TINY, tmp_path).read_text()
    lines = [line.replace(' ', '') for line in text.splitlines()]
    row = next(line for line in lines if line.startswith('|f-R2D'))
    assert row == '|f-R2D|48.1|59.4|' + 6 * '30.0±0.2|'
    assert '|R(2+1)DaboveMC3|+1.9|+5.0|+4.8to+5.2|holds|' in lines
    assert '|r3d_18|25.0|**50.0**|' in lines
    assert 'The largest fall is that of `r2plus1d_18_8f`: 50.00 points.' in text
    assert '|R3D-18aboveR(2+1)D-18|Figure3;trainingerrorofthelasttenth|1,000|' in lines
    assert 'a machine. The training of the' in text
    for name in ('3', '4', '5b'):
        assert f'(figures/figure_{name}.svg)' in text
        drawn = ElementTree.parse(tmp_path / f'figures/figure_{name}.svg')
        assert drawn.getroot().tag.endswith('svg')
    before = {path.name: path.read_bytes() for path in (tmp_path / 'figures').iterdir()}
    report.write_report(TINY, tmp_path)
    assert all((tmp_path / 'figures' / name).read_bytes() == before[name] for name in before)


def test_a_second_study(tmp_path, monkeypatch):
    """What was undecided takes its verdict from there, and nothing else does."""
    scales = {'repeat': SCALES['repeat'], 'first': TINY}
    accuracies = {
        'first': {'rmc3_18_8f': 0.4},
        'repeat': {'r3d_18_8f': 0.6, 'rmc3_18_8f': 0.6},
    }
    first = tmp_path / 'first'
    (first / 'repeat').mkdir(parents=True)
    (first / 'repeat/settings.json').write_text(json.dumps(scales['repeat']._asdict()))

    def read(_, out):
        return results(accuracies[out.name], 0.005, scales[out.name])

    monkeypatch.setattr(report, 'read_results', read)
    monkeypatch.setattr(report, 'tuned_rates', lambda *_: {})
    text = report.write_report(TINY, first).read_text()
    lines = [line.replace(' ', '') for line in text.splitlines()]
    (claim,) = (line for line in lines if line.startswith('|R(2+1)Dismoreaccurate'))
    assert claim.endswith('|Table2;video@1|undecided|doesnothold|')
    assert '|R(2+1)DaboveR3D|Table2;video@1|7|-10.0|-11.2to-8.8|reversed|' in lines
    assert '|R(2+1)DaboveMC3|Table2;video@1|13|notrepeated||undecided|' in lines
    assert '|R(2+1)DaboverMC3|+2.5|+10.0|+10.0to+10.0|holds|' in lines
    assert 'with new seeds' not in lines[0]
    assert 'with new seeds' in report.write_report(scales['repeat'], first / 'repeat').read_text()
