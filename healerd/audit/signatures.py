"""Ed25519 under signed notes: the one place that loads cryptography, and only when something is signed or checked.

Must never read or write a key's file, nor hand out the private half but in its file's form.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from healerd.audit.notes import Note, Signature, VerifierKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["Signer", "is_signed"]


class Signer:
    """A private key, and the name it signs under."""

    def __init__(self, private: "Ed25519PrivateKey", *, name: str) -> None:
        self._private = private
        self.key = VerifierKey(name=name, public=private.public_key().public_bytes_raw())

    @classmethod
    def make(cls, *, name: str) -> "Signer":
        """Draw a new key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate(), name=name)

    @classmethod
    def of(cls, pem: bytes, *, name: str) -> "Signer":
        """Read a private key from the PEM that `pem` gives.

        Raises:
            ValueError: it is no private key of Ed25519, or one under a password.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
            raise ValueError("it is not a private key in PEM without a password") from problem
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError("it is a key of another kind than Ed25519")
        return cls(private, name=name)

    def named(self, name: str) -> "Signer":
        """Give the same key under another name."""
        return Signer(self._private, name=name)

    def pem(self) -> bytes:
        """Give the private key as its file holds it (PKCS #8, without a password)."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, text: str) -> Note:
        """Sign a text that ends with a line feed."""
        assert text.endswith("\n"), "the text of a note ends with a line feed"
        value = self._private.sign(text.encode())
        return Note(text=text, signatures=(Signature(name=self.key.name, key_id=self.key.id, value=value),))


def is_signed(note: Note, keys: Iterable[VerifierKey]) -> bool:
    """Tell whether one of the keys signed the note; a signature that names a key and is wrong counts as none."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    by_id = {(key.name, key.id): key for key in keys}
    for signature in note.signatures:
        key = by_id.get((signature.name, signature.key_id))
        if key is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature.value, note.text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True
    return False
