"""Signed texts against the published examples of their format."""

import pytest

from healerd.audit.notes import Checkpoint, VerifierKey, origin_of, read_checkpoint, read_key, read_notes
from healerd.audit.signatures import Signer, is_signed

ROOT = bytes(range(32))
CHECKPOINT = Checkpoint(origin="healerd.log/ab", size=12, root=ROOT, number=3)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer.make(name="healerd.log/ab")


def test_a_public_note_of_another_log_verifies() -> None:
    """The note and the key that the format's own documentation shows are read and found signed."""
    key = read_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    text = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
        "\n\N{EM DASH} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotp"
        "RZb6KE6RyyBwJnAM=\n"
    )
    (note,) = read_notes(text)
    assert is_signed(note, [key])
    assert str(note) == text
    assert str(key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_checkpoint_is_what_was_signed(signer: Signer) -> None:
    """A checkpoint written, signed and read again says the same, and its key says so."""
    (note,) = read_notes(str(signer.sign(str(CHECKPOINT))))
    assert read_checkpoint(note) == CHECKPOINT
    assert is_signed(note, [signer.key])


def test_another_key_or_text_is_not_signed(signer: Signer) -> None:
    """A note is signed by nobody else, nor with another text."""
    note = signer.sign(str(CHECKPOINT))
    (changed,) = read_notes(str(note).replace("\n12\n", "\n13\n"))
    assert not is_signed(changed, [signer.key])
    assert not is_signed(note, [Signer.make(name="healerd.log/ab").key])
    assert not is_signed(note, [])


def test_a_key_comes_back_from_its_file(signer: Signer) -> None:
    """The private key read from its PEM is the key, and its text form gives the public half."""
    again = Signer.of(signer.pem(), name="healerd.log/ab")
    assert again.key == signer.key == read_key(str(signer.key))


def test_several_notes_are_read_one_after_another(signer: Signer) -> None:
    """A file of notes gives each of them, in order."""
    notes = [signer.sign(str(Checkpoint(origin="o", size=n, root=ROOT, number=n))) for n in (1, 2, 3)]
    assert list(read_notes("\n".join(map(str, notes)))) == notes


@pytest.mark.parametrize("text", ["", "a\n", "a\n\nb\n", "a\n\n\N{EM DASH} x !!\n", "a\n\n\N{EM DASH} x YQ==\n"])
def test_what_is_no_note_is_refused(text: str) -> None:
    """A text without a signature, or with a broken one, is an error that says what a note is."""
    with pytest.raises(ValueError, match=r"."):
        list(read_notes(text))


@pytest.mark.parametrize("text", ["o\n1\n", "o\n01\nAAAA\n", "o\nx\nAAAA\n", "\n1\nAAAA\n", "o\n1\nAAAA\n"])
def test_what_is_no_checkpoint_is_refused(signer: Signer, text: str) -> None:
    """A signed text that is no checkpoint is not taken for one."""
    with pytest.raises(ValueError, match=r"."):
        read_checkpoint(signer.sign(text))


@pytest.mark.parametrize("text", ["", "a+b", "n+00000000+AQ==", "n+zz+AAAA"])
def test_what_is_no_key_is_refused(text: str) -> None:
    """A line that is no public key, or has another id than it says, is refused."""
    with pytest.raises(ValueError, match=r"."):
        read_key(text)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_private_key_is_refused(pem: bytes) -> None:
    """A file that holds no private key is refused."""
    with pytest.raises(ValueError, match="not a private key"):
        Signer.of(pem, name="n")


def test_a_log_is_named_by_its_first_leaf() -> None:
    """Two logs that began differently have different names."""
    assert origin_of(ROOT) != origin_of(ROOT[::-1])
    assert VerifierKey(name=origin_of(ROOT), public=ROOT).id != VerifierKey(name="n", public=ROOT).id
