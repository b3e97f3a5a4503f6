"""Which role opens which scope."""

import pytest

from protocol.errors import Forbidden
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.gateway.session.identity import ROLES_OF, Identity, Scope, find_scope_error


def _with(*roles: str) -> Identity:
    return Identity(UserId(new_id()), PlayerId(new_id()), SessionId(new_id()), "A", 0.0, roles)


@pytest.mark.parametrize("scope", ROLES_OF)
def test_scope_admits_its_role_and_admins_alone(scope: Scope) -> None:
    assert find_scope_error(_with(scope), scope) is None
    assert find_scope_error(_with("admin"), scope) is None
    others = [role for role in ROLES_OF if role not in (scope, "admin")]
    assert isinstance(find_scope_error(_with(*others), scope), Forbidden)
