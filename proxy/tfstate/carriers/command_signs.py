"""What shows that a text may be a command line with a secret in it: then `commands` reads it.

They stand apart because the patterns of `commands` take long to compile, and few texts need them.
"""

import re
from typing import Final

SIGNS: Final = (
    *("-", "/", "pass", "by ", "secure", "login", "configure", "add_user", "kv put", "net user"),
    *("config set", "etcdctl put", "masterauth", "wpa_"),
)
"""One of these stands, in lower case, in every line with a secret that `commands` finds."""

SPOKEN: Final = re.compile(
    r" (?:set (?:(?<=onfigure set )|(?<=config set ))|put (?:(?<=kv put )|(?<=etcdctl put ))"
    r"|user (?<=net user )|USER (?<=NET USER )|login (?<=vault login )|passwd (?<=openssl passwd )"
    r"|add_user |change_password )"
)
"""In every command line with a secret in which no other sign stands out; it begins with a space,
so that a text is searched for spaces first."""
