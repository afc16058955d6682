"""The readers, run on the seeds of the fuzzers (which include all crashes found) and variations."""

import pytest
from fuzz import annotations, pickles, weight_files
from fuzz.annotations import FILES, encode
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from support import ROOT

CORPUS = ROOT / 'tests/fuzz/corpus'
READERS = dict(annotations=annotations, pickles=pickles, weight_files=weight_files)
SEEDS = {name: sorted((CORPUS / name).iterdir()) for name in READERS}

bounded = settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize(
    ('reader', 'path'),
    [(reader, path) for reader, paths in SEEDS.items() for path in paths],
    ids=lambda value: getattr(value, 'name', value),
)
def test_seeds(reader, path):
    READERS[reader].check(path.read_bytes())


@st.composite
def variations(draw, paths):
    """Replace pieces of a seed with others."""
    content = bytearray(draw(st.sampled_from(paths)).read_bytes())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 16))
        content[start : start + length] = draw(st.binary(max_size=16))
    return bytes(content)


@pytest.mark.parametrize('reader', READERS)
def test_variations_of_seeds(reader):
    @seed(0)
    @bounded
    @given(variations(SEEDS[reader]))
    def check(data):
        READERS[reader].check(data)

    check()


LINE = st.one_of(
    st.text(max_size=20),
    st.builds('{} {}'.format, st.text(max_size=12), st.integers(-2, 5)),
    st.builds('1 {}\n2 {}'.format, st.text(max_size=5), st.text(max_size=5)),
    st.builds('{},{},{},{},train'.format, *[st.text(max_size=5)] * 2, *[st.integers()] * 2),
    st.builds('http://www.youtube.com/watch?v={} {},1'.format, st.text(max_size=5), st.integers()),
    st.just('label,youtube_id,time_start,time_end,split'),
)
FILE = st.lists(LINE, max_size=4).map(lambda lines: '\n'.join(lines).encode(errors='replace'))


@seed(0)
@bounded
@given(st.sampled_from(list(FILES)), st.lists(FILE, min_size=1, max_size=9))
def test_lines_that_are_almost_right(form, files):
    annotations.check(encode(form, *files))
