import pytest

from r21d_plugin import processor


@pytest.mark.parametrize(('capability', 'slow'), [('AVX2', True), ('AVX512', False)])
def test_warning_of_slow_bfloat16(capability, slow, monkeypatch):
    monkeypatch.setattr(processor, 'cpu_capability', lambda: capability)
    told = []
    monkeypatch.setattr(processor, 'print_log', lambda message, *_: told.append(message))
    processor.warn_without_bfloat16.cache_clear()
    for _ in range(2):
        processor.warn_without_bfloat16()
    processor.warn_without_bfloat16.cache_clear()
    assert len(told) == slow
    assert all('several times slower' in message for message in told)
