"""The entry point: which command runs, and what the shell gets to see."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ros2cli.command
from ros2cli.cli import main

COMMAND = '''"""{help}\n\nMore about it."""


def add_arguments(parser):
    parser.add_argument("word", nargs="?")


def main(args):
    {body}
'''


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes a command, or a verb, of these tests only."""
    monkeypatch.setattr(ros2cli.command, "__path__", [str(tmp_path)])

    def make(name: str, body: str) -> None:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        if path.parent != tmp_path:
            (path.parent / "__init__.py").write_text('"""Made of verbs"""')
        path.write_text(COMMAND.format(help=f"Help of {name}", body=body))

    yield make
    for module in [m for m in sys.modules if m.startswith("ros2cli.command.")]:
        del sys.modules[module]


def test_only_the_chosen_command_is_imported(commands, capsys):
    commands("broken", "raise AssertionError")
    commands("group/bad", "return 1")
    commands("group/good", "print(args.word); return 7")
    assert main(["group", "good", "hello"]) == 7
    assert capsys.readouterr().out == "hello\n"
    assert "ros2cli.command.group.bad" not in sys.modules
    assert "ros2cli.command.broken" not in sys.modules


def test_help_shows_the_first_line_of_every_command(commands, capsys):
    commands("one", "return 0")
    commands("group/good", "return 0")
    assert main([]) == 0
    assert main(["group"]) == 0
    shown = capsys.readouterr().out
    for text in ("Help of one", "Made of verbs", "Help of group/good"):
        assert text in shown
    assert "More about it" not in shown


@pytest.mark.parametrize("argv", [["nope"], ["one", "a", "--nope"], ["group", "nope"]])
def test_unknown_word_is_named_and_exits_2(commands, capsys, argv):
    commands("one", "return 0")
    commands("group/good", "return 0")
    with pytest.raises(SystemExit) as exit_info:
        main(argv)
    assert exit_info.value.code == 2
    assert "nope" in capsys.readouterr().err


def test_interrupt_and_error_have_upstreams_exit_codes(commands):
    commands("stop", "raise KeyboardInterrupt")
    commands("fail", 'raise RuntimeError("Node not found")')
    assert main(["stop"]) == signal.SIGINT
    assert main(["fail"]) == "Node not found"  # sys.exit prints it and exits with 1


def test_closed_pipe_is_quiet(tmp_path):
    (tmp_path / "loop.py").write_text(
        COMMAND.format(help="Never ends", body="while True: print('line')")
    )
    code = (
        "import sys, ros2cli.command; from ros2cli.cli import main;"
        f"ros2cli.command.__path__ = [{str(tmp_path)!r}]; sys.exit(main(['loop']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "line\n"
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert process.stderr.read() == ""


def test_help_of_ros2_does_not_import_rclpy():
    code = "import sys; from ros2cli.cli import main; main([]); sys.exit('rclpy' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for name in ("bag", "lifecycle", "node", "param", "service", "topic"):
        assert f"\n    {name} " in found.stdout
