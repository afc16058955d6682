"""Segments in which the score of a class is above a threshold, and their files."""

import csv

import numpy as np
import pytest

from r21d_plugin.inference.segments import Segment, find_segments, srt_time, write_csv, write_srt

LABELS = ['run', 'jump, "high"', 'ж']


def spans(starts, length=2.0):
    return np.stack([starts, np.add(starts, length)], axis=1)


def test_clips_of_a_class_are_merged():
    values = np.float32(
        [[0.9, 0.1, 0], [0.7, 0.3, 0], [0.5, 0.4, 0.1], [0.2, 0.8, 0], [0.8, 0.1, 0.1]]
    )
    found = find_segments(values, spans([0, 1, 2, 3, 4]), 0.5)
    expected = [Segment(0, 3, 0, 0.8), Segment(3, 5, 1, 0.8), Segment(4, 6, 0, 0.8)]
    for segment, wanted in zip(found, expected):
        assert segment == pytest.approx(wanted)
    assert len(found) == 3


def test_several_classes_at_once():
    """Scores of several labels need not add up to 1."""
    values = np.float32([[0.9, 0.8, 0.1], [0.2, 0.7, 0.1]])
    found = find_segments(values, spans([0, 2]), 0.5)
    assert [(s.start, s.end, s.number) for s in found] == [(0, 2, 0), (0, 4, 1)]


def test_clips_with_a_gap_between_are_not_merged():
    values = np.float32([[0.9], [0.9], [0.9]])
    found = find_segments(values, spans([0, 2, 5]), 0.5)
    assert [(s.start, s.end) for s in found] == [(0, 4), (5, 7)]
    assert find_segments(values, spans([0, 2, 5]), 0.95) == []


def test_subtitles(tmp_path):
    path = tmp_path / 'a/b.srt'
    write_srt(path, [Segment(0, 3.0004, 0, 0.8), Segment(3661.5, 3662, 2, 1)], LABELS)
    assert path.read_text('utf-8') == (
        '1\n00:00:00,000 --> 00:00:03,000\nrun 0.80\n\n2\n01:01:01,500 --> 01:01:02,000\nж 1.00\n'
    )
    assert srt_time(59.9996) == '00:01:00,000'


def test_a_table(tmp_path):
    path = tmp_path / 'a.csv'
    write_csv(path, [('a.mp4', [Segment(0, 1.5, 1, 0.75)]), ('b', [])], LABELS)
    with open(path, encoding='utf-8', newline='') as file:
        rows = list(csv.reader(file))
    assert rows == [
        ['video', 'start', 'end', 'class', 'score'],
        ['a.mp4', '0.000', '1.500', LABELS[1], '0.7500'],
    ]
