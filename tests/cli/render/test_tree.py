"""The tree drawing: structure survives, details are sorted, nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from skupper_podman.cli.render.tree import Node, draw

WORDS = st.text("abc xyz", min_size=1, max_size=6).map(str.strip).filter(bool)
NODES = st.recursive(
    st.builds(Node, WORDS, st.dictionaries(WORDS, WORDS, max_size=2)),
    lambda inner: st.builds(
        Node, WORDS, st.dictionaries(WORDS, WORDS, max_size=2), st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


def count(node: Node) -> int:
    return 1 + len(node.details) + sum(count(child) for child in node.children)


def depths(node: Node, depth: int = 0) -> list[tuple[int, str]]:
    return [(depth, node.text), *(item for child in node.children for item in depths(child, depth + 1))]


@given(NODES)
def test_every_node_and_detail_has_its_line(node: Node) -> None:
    lines = draw(node).splitlines()
    assert len(lines) == count(node)
    drawn = [line for line in lines if "─ " in line or line is lines[0]]
    assert [(len(line) - len(line.lstrip("│├╰─ "))) // 3 for line in drawn] == [depth for depth, _ in depths(node)]


def test_details_are_sorted_and_empty_ones_left_out() -> None:
    assert draw(Node("n", {"b": "2", "a": "1", "c": ""})) == "n\na: 1\nb: 2\n"


def test_two_equal_children_are_both_drawn_right() -> None:
    child = Node("c")
    assert draw(Node("n", children=(child, child))) == "n\n├─ c\n╰─ c\n"
