"""The tree against the standard's words, and against an implementation that others wrote."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from healerd.audit import EMPTY, leaf_hash
from healerd.audit.tree import (
    TILE,
    Frontier,
    consistency_path,
    inclusion_path,
    node_hash,
    verify_consistency,
    verify_inclusion,
)


def data(n: int) -> list[bytes]:
    return [f"leaf {each}".encode() for each in range(n)]


class Grown:
    """A tree grown leaf by leaf, with its stored nodes, as the store keeps it."""

    def __init__(self, n: int) -> None:
        self.frontier, self.rows = Frontier(), dict[int, list[bytes]]()
        for each in data(n):
            self.rows.setdefault(0, []).append(leaf_hash(each))
            for level, index, hashed in self.frontier.add(leaf_hash(each)):
                assert index == len(self.rows.setdefault(level, []))
                self.rows[level].append(hashed)

    def nodes(self, level: int, first: int, count: int) -> list[bytes]:
        assert level % TILE == 0
        return self.rows[level][first : first + count]


def plain_root(hashes: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not hashes:
        return EMPTY
    if len(hashes) == 1:
        return hashes[0]
    split = max(1 << each for each in range(20) if 1 << each < len(hashes))
    return sha256(b"\x01" + plain_root(hashes[:split]) + plain_root(hashes[split:])).digest()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 255, 256, 257, 600])
def test_the_root_is_that_of_the_definition(n: int) -> None:
    """A tree that grew leaf by leaf has the root that the standard defines."""
    assert Grown(n).frontier.root() == plain_root([leaf_hash(each) for each in data(n)])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 700), st.data())
def test_roots_and_proofs_are_those_of_another_implementation(n: int, drawn: st.DataObject) -> None:
    """Root, inclusion path and consistency path are those that pymerkle computes."""
    theirs, ours = InmemoryTree(), Grown(n)
    for each in data(n):
        theirs.append_entry(each)
    assert theirs.get_root() == ours.frontier.root()
    index = drawn.draw(st.integers(0, n - 1))
    other = theirs.prove_inclusion(index + 1)
    assert list(other.path)[1:] == inclusion_path(index, n, ours.nodes)
    size = drawn.draw(st.integers(1, n))
    path = consistency_path(size, n, ours.nodes)
    assert verify_consistency(size, n, theirs.get_root(size), theirs.get_root(), path)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 700), st.data())
def test_every_proof_holds_and_a_changed_one_does_not(n: int, drawn: st.DataObject) -> None:
    """A path leads to the root; with another leaf, place, size, step or root it does not."""
    grown, index = Grown(n), drawn.draw(st.integers(0, n - 1))
    root, path, leaf = grown.frontier.root(), inclusion_path(index, n, grown.nodes), leaf_hash(data(n)[index])
    assert verify_inclusion(leaf, index, n, path, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, n, path, root)
    assert not verify_inclusion(leaf, index, n, path, EMPTY)
    assert not verify_inclusion(leaf, n, n, path, root)
    assert not verify_inclusion(leaf, index, n, [*path, EMPTY], root)
    if path:
        assert not verify_inclusion(leaf, index ^ 1, n, path, root)
        assert not verify_inclusion(leaf, index, n, path[:-1], root)
        assert not verify_inclusion(leaf, index, n, [EMPTY, *path[1:]], root)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 700), st.data())
def test_every_tree_is_consistent_with_its_past_alone(n: int, drawn: st.DataObject) -> None:
    """A tree is shown to begin with any earlier one of it, and with no other."""
    grown, first = Grown(n), drawn.draw(st.integers(0, n))
    old, new = Grown(first).frontier.root(), grown.frontier.root()
    path = consistency_path(first, n, grown.nodes)
    assert verify_consistency(first, n, old, new, path)
    assert not verify_consistency(first, n, leaf_hash(b"other"), new, path)
    assert not verify_consistency(first, n, old, new, [*path, EMPTY])
    if 0 < first < n:
        assert not verify_consistency(first, n, old, leaf_hash(b"other"), path)
        assert not verify_consistency(first, n, old, new, path[:-1])


@pytest.mark.parametrize("n", [0, 1, 5, 256, 300, 513])
def test_a_tree_is_taken_up_from_its_stored_nodes(n: int) -> None:
    """A frontier read from the stored nodes is the one that grew."""
    grown = Grown(n)
    taken = Frontier.of(n, grown.nodes)
    assert (taken.size, taken.peaks) == (grown.frontier.size, grown.frontier.peaks)


def test_inner_nodes_are_hashed_as_the_standard_says() -> None:
    """A node is SHA-256 of the byte 1 and its two children."""
    assert node_hash(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
