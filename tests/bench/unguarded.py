"""``tfaudit serve`` that asks nobody who they are: what is left when authentication is taken away.

Run it as ``python unguarded.py serve …``. Everybody is the same known principal with every right,
so that each read still passes the gate and has its entry.
"""

from typing import Final
from unittest.mock import patch

from proxy.__main__ import main
from proxy.access import Principal, Role, rights_of
from proxy.auth.authenticator import Authenticator
from proxy.auth.presented import Presented

EVERYBODY: Final = Principal("system", "bench", "everybody", rights_of(Role.ADMIN))


async def _identify(_: Authenticator, __: Presented) -> Principal:
    return EVERYBODY


if __name__ == "__main__":
    with patch.object(Authenticator, "identify", _identify):
        main()
