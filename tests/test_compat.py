"""Behaviour that depends on the versions of other packages."""

import numpy as np
import torch

from r21d_plugin._compat_torch import untried


def test_untested_newer_packages_are_named(monkeypatch):
    monkeypatch.setattr(np, '__version__', '1.24.4')
    monkeypatch.setattr(torch, '__version__', '2.15.0')
    assert untried() is None
    monkeypatch.setattr(torch, '__version__', '2.99.1+cu200')
    assert untried() == 'with torch 2.99.1+cu200, newer than what the tests ran with'
    monkeypatch.setattr(np, '__version__', '3.0.0')
    assert untried().startswith('with numpy 3.0.0 and torch 2.99.1+cu200')
