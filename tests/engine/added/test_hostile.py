"""Each hostile or broken file is refused in one line that names what and where; nothing is kept."""

import time
from pathlib import Path

import pytest

from engine.data.added.reading import read
from engine.data.added.shelf import added_to
from engine.data.added.staging import stage
from engine.errors import UserError
from tests.engine.added.corpus_of_files import CASES


def test_the_corpus_is_large():
    assert len(CASES) >= 80


@pytest.mark.parametrize("name", CASES)
def test_a_bad_file_is_refused_in_one_line_and_leaves_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maker, words = CASES[name]
    source, kept = tmp_path / "source", tmp_path / "kept"
    source.mkdir()
    path = maker(source)
    start = time.process_time()
    with pytest.raises(UserError) as error:
        stage(read(path), "bad", kept)
    line = str(error.value)
    assert "\n" not in line
    assert len(line) < 1500
    assert time.process_time() - start < 2
    at = 0
    for word in words:
        assert word in line[at:], line
        at = line.index(word, at) + len(word)
    assert not added_to(kept)
    left = kept / "added"
    assert not (list(left.iterdir()) if left.exists() else [])
    assert not Path("executed").exists()
