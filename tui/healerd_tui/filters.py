"""The filter grammar of every list: words, `!not`, `key=value`, `~fuzzy`. Pure; must never raise on what is typed.

churn eu         both words occur somewhere in the row
!staging         the word does not occur
state=drift      the field `state` holds `drift`; `state!=ok` that it does not
~chrn            the letters occur in this order in one field
"""

from collections.abc import Callable, Mapping

__all__ = ["Filter", "compile_filter"]

Filter = Callable[[Mapping[str, str]], bool]


def compile_filter(text: str) -> Filter:
    """Turn what was typed into a test of a row's fields; upper and lower case are one. Empty text keeps every row."""
    parts = [_part(word) for word in text.casefold().split()]
    return lambda fields: all(part(fields) for part in parts)


def _part(word: str) -> Filter:
    if word.startswith("!") and not word.startswith("!="):
        inner = _part(word[1:]) if word[1:] else None
        # A lone `!` says nothing yet: the person is still typing.
        return (lambda fields: not inner(fields)) if inner else (lambda _: True)
    if word.startswith("~"):
        return lambda fields: any(_is_fuzzy(word[1:], value.casefold()) for value in fields.values())
    key, equals, value = word.partition("=")
    if equals and key:
        is_not = key.endswith("!")
        return _field(key.removesuffix("!"), value, is_not=is_not)
    return lambda fields: any(word in each.casefold() for each in fields.values())


def _field(key: str, value: str, *, is_not: bool) -> Filter:
    def test(fields: Mapping[str, str]) -> bool:
        held = next((each for name, each in fields.items() if name.casefold() == key), "").casefold()
        return (value in held) is not is_not

    return test


def _is_fuzzy(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)
