"""A scenario file is read whatever editor saved it; anything else is one line."""

import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.scenario import toml_in
from app.scenario.toml_in import LARGEST, read_scenario
from engine.errors import UserError
from engine.names import visible

TEXT = 'name = "Größe"\nseed = 7\n'


def refusal(file) -> str:
    with pytest.raises(UserError) as refused:
        read_scenario(file, [])
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{visible(str(file))}: ")
    return line


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_is_read_with_and_without_a_byte_order_mark(tmp_path, mark, newline):
    file = tmp_path / "run.toml"
    file.write_bytes(mark + TEXT.replace("\n", newline).encode())
    found = read_scenario(file, ["\ufeffseed=8"])
    assert (found.name, found.seed) == ("Größe", 8)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_unicode_is_named_and_what_to_do(tmp_path, encoding):
    file = tmp_path / "run.toml"
    file.write_text(TEXT, encoding=encoding)
    assert "save it as UTF-8" in refusal(file)


def test_a_line_that_is_not_utf8_is_named(tmp_path):
    file = tmp_path / "run.toml"
    file.write_bytes(b"seed = 7\n" + TEXT.encode("latin-1"))
    assert "line 2 is not UTF-8" in refusal(file)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_scenario_or_lines_that_say_why_not(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "run.toml"
    file.write_bytes(content)
    told = None
    try:
        read_scenario(file, [])
    except UserError as error:
        told = str(error)
    assert told != ""


def test_what_is_no_scenario_file_is_one_line(tmp_path, monkeypatch):
    huge, deep, pipe = (tmp_path / name for name in ("huge.toml", "deep.toml", "pipe.toml"))
    with huge.open("wb") as file:
        file.truncate(10 * 10**9)
    deep.write_text(f"a = {'[' * 100_000}")
    os.mkfifo(pipe)
    monkeypatch.setattr(toml_in, "PATIENCE", 0.1)
    assert f"larger than {LARGEST:,} bytes" in refusal(huge)
    assert "cannot be read as TOML" in refusal(deep)
    assert "nothing was written into it" in refusal(pipe)
    assert "Is a directory" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "none.toml")
    assert "Not a directory" in refusal(deep / "run.toml")
    assert "null" in refusal(tmp_path / "a\0b.toml")


def test_a_pipe_is_read_to_its_end_even_if_its_writer_comes_late_and_stutters(tmp_path):
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("w") as file:
            for line in TEXT.splitlines(keepends=True):
                file.write(line)
                file.flush()
                threading.Event().wait(0.1)

    writer = threading.Timer(0.1, write)
    writer.start()
    assert read_scenario(pipe, []).seed == 7
    writer.join()
