"""What the docstring of a type says of it and of its fields: the texts of documents and of help."""

import re
from inspect import cleandoc
from typing import Final

_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): (.*)$")


def read_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Return the text of a docstring in Google's style, and of each attribute its sentence."""
    text, _, section = cleandoc(docstring).partition("\nAttributes:\n")
    attributes: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        found = _ATTRIBUTE.match(line)
        if found is not None:
            name = found[1]
            attributes[name] = found[2]
        elif name:
            attributes[name] += f" {line.strip()}"
    return _plain(text).strip(), {each: _sentence(said) for each, said in attributes.items()}


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{_plain(text[1:]).strip()}"
