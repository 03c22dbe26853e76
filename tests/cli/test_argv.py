"""The command line syntax of 1.9 and its messages (cli reference 1.2 and 1.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.cli import argv
from skupper_podman.cli.argv import CommandLineError, parse, scan
from skupper_podman.cli.flags import Flag
from skupper_podman.errors import UsageError

FLAGS = (
    Flag("name", "string", "", ""),
    Flag("cost", "int32", 1, ""),
    Flag("wait", "int", 0, "", short="w"),
    Flag("type", "string", "", "", short="t"),
    Flag("verbose", "bool", False, "", short="v"),
    Flag("quick", "bool", False, "", short="q"),
    Flag("timeout", "duration", 0, ""),
    Flag("port", "ints", (), ""),
    Flag("host", "strings", (), ""),
    Flag("label", "stringToString", (), ""),
    Flag("old", "bool", False, "", deprecated="use 'new' instead"),
)


@pytest.mark.parametrize(
    ("words", "values", "arguments"),
    [
        (["a", "--name", "x", "b"], {"name": "x"}, ("a", "b")),
        (["--name=x=y", "a"], {"name": "x=y"}, ("a",)),
        (["--name="], {"name": ""}, ()),
        (["--name", "--cost"], {"name": "--cost"}, ()),
        (["-tx", "-w=3"], {"type": "x", "wait": 3}, ()),
        (["-t", "x"], {"type": "x"}, ()),
        (["-t="], {"type": "="}, ()),
        (["-vq"], {"verbose": True, "quick": True}, ()),
        (["-vtx"], {"verbose": True, "type": "x"}, ()),
        (["--verbose=false"], {"verbose": False}, ()),
        (["--verbose", "false"], {"verbose": True}, ("false",)),
        (["-v=0"], {"verbose": False}, ()),
        (["-", "a"], {}, ("-", "a")),
        (["a", "--", "-v", "--"], {}, ("a", "-v", "--")),
        (["--port", "1,2", "--port=3"], {"port": (1, 2, 3)}, ()),
        (["--host", "a,b", "--host", "c"], {"host": ("a", "b", "c")}, ()),
        (["--label", "a=1", "--label", "a=2,b=3"], {"label": (("a", "2"), ("b", "3"))}, ()),
        (["--name", "a", "--name", "b"], {"name": "b"}, ()),
        (["--timeout", "1m"], {"timeout": 60_000_000_000}, ()),
    ],
)
def test_forms(words: list[str], values: dict[str, object], arguments: tuple[str, ...]) -> None:
    parsed = parse(FLAGS, words)
    assert dict(parsed.values) == values
    assert parsed.arguments == arguments


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--nope"], "unknown flag: --nope"),
        (["--nope=x"], "unknown flag: --nope"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-vxy"], "unknown shorthand flag: 'x' in -xy"),
        (["-'"], "unknown shorthand flag: '\\'' in -'"),
        (["--name"], "flag needs an argument: --name"),
        (["-t"], "flag needs an argument: 't' in -t"),
        (["-vt"], "flag needs an argument: 't' in -t"),
        (["---x"], "bad flag syntax: ---x"),
        (["--=x"], "bad flag syntax: --=x"),
        (["--cost", "x"], 'invalid argument "x" for "--cost" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (
            ["--cost=2147483648"],
            'invalid argument "2147483648" for "--cost" flag: '
            'strconv.ParseInt: parsing "2147483648": value out of range',
        ),
        (["-w", "x"], 'invalid argument "x" for "-w, --wait" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (["--timeout=5"], 'invalid argument "5" for "--timeout" flag: time: missing unit in duration "5"'),
        (["--port=a"], 'invalid argument "a" for "--port" flag: strconv.Atoi: parsing "a": invalid syntax'),
        (["--label=a"], 'invalid argument "a" for "--label" flag: a must be formatted as key=value'),
        (
            ["--verbose=yes"],
            'invalid argument "yes" for "-v, --verbose" flag: strconv.ParseBool: parsing "yes": invalid syntax',
        ),
    ],
)
def test_errors(words: list[str], message: str) -> None:
    with pytest.raises(CommandLineError) as error:
        parse(FLAGS, words)
    assert error.value.message == message
    assert error.value.exit_code == 2


def test_deprecated_flags_give_a_notice() -> None:
    assert parse(FLAGS, ["--old"]).notices == ("Flag --old has been deprecated, use 'new' instead",)


def test_flags_of_elsewhere_are_refused_as_such() -> None:
    with pytest.raises(UsageError, match=r"^not here$") as error:
        parse(FLAGS, ["-n", "west"], lambda flag: "not here" if flag == "-n" else "")
    assert not isinstance(error.value, CommandLineError)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["status", "--platform", "podman"], "podman"),
        (["--platform=podman", "--platform=kubernetes"], "podman"),
        (["--platform="], ""),
        (["status", "--platform"], ""),
        (["--", "--platform", "podman"], ""),
    ],
)
def test_scan(words: list[str], value: str) -> None:
    assert scan(words, "platform") == value


def test_scan_for_a_shorthand() -> None:
    for words in (["-o", "json"], ["-ojson"], ["-o=json"], ["--output", "json"]):
        assert scan(words, "output", "o") == "json"


@pytest.mark.parametrize(
    ("rule", "count", "message"),
    [
        (argv.exactly(1), 0, "accepts 1 arg(s), received 0"),
        (argv.exactly(1), 2, "accepts 1 arg(s), received 2"),
        (argv.at_most(1), 2, "accepts at most 1 arg(s), received 2"),
        (argv.no_arguments, 1, 'unknown command "a" for "skupper status"'),
    ],
)
def test_argument_rules(rule: argv.ArgumentRule, count: int, message: str) -> None:
    with pytest.raises(CommandLineError) as error:
        rule(("a",) * count, "skupper status")
    assert error.value.message == message


WORDS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(["-", "--", "-v", "-t", "-vt", "--name", "--cost", "--label=a=b", "--port=1", "-w=1", "-tx"]),
)


@given(st.lists(WORDS, max_size=6))
def test_any_words_parse_or_are_a_command_line_error(words: list[str]) -> None:
    try:
        parsed = parse(FLAGS, words)
    except CommandLineError:
        return
    assert set(parsed.values) <= {flag.name for flag in FLAGS}
    assert len(parsed.arguments) <= len(words)


@given(st.lists(WORDS.filter(lambda word: not word.startswith("-")), max_size=4), st.integers(0, 4))
def test_flags_may_stand_anywhere(arguments: list[str], position: int) -> None:
    words = [*arguments[:position], "--name", "x", *arguments[position:]]
    assert parse(FLAGS, words).arguments == tuple(arguments)
    assert parse(FLAGS, words).values == {"name": "x"}
