"""The settings that a node has in force, each with where it comes from; secrets are masked."""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python
from pydantic_settings import BaseSettings

from protocol.operations import EffectiveSetting, EffectiveSettings, UnreadVariable
from server.core.settings import Settings, nearest_variable, unread_variables, variable_name

MASK: Final = "********"
# A user's name and password in an address, and values of parameters that are named for secrets.
_USER: Final = re.compile(r"(?<=//)[^/?#\s]*@")
_PARAMETER: Final = re.compile(r"(?i)([?&][^=&]*(?:key|secret|token|password)[^=&]*=)[^&\s]*")


def describe_settings(
    node: str, read: Iterable[tuple[str | None, BaseSettings]], *, known: Collection[str]
) -> EffectiveSettings:
    """List what is in force, by the domain whose it is; None stands for the node itself."""
    return EffectiveSettings(
        node=node,
        settings=[each for domain, settings in read for each in _of_class(domain, settings)],
        unread=[
            UnreadVariable(name=name, meant=nearest_variable(name, known))
            for name in unread_variables(known)
        ],
    )


def _of_class(domain: str | None, settings: BaseSettings) -> Iterator[EffectiveSetting]:
    for field, info in type(settings).model_fields.items():
        is_secret = _holds_secret(info.annotation)
        name = variable_name(type(settings), field)
        yield EffectiveSetting(
            name=name,
            value=_shown(getattr(settings, field), is_secret=is_secret),
            default=_shown(_default(info), is_secret=is_secret),
            source=_source(settings, field, name),
            is_secret=is_secret,
            domain=domain,
            description=info.description or "",
        )


def _source(settings: BaseSettings, field: str, name: str) -> Any:
    if field not in settings.model_fields_set:
        return "default"
    if isinstance(settings, Settings) and settings.was_given(field):
        return "command line"
    is_in_environment = name in (each.upper() for each in os.environ)
    return "environment" if is_in_environment else "command line"


def _default(info: FieldInfo) -> Any:
    default = info.get_default(call_default_factory=True, validated_data={})
    return None if default is PydanticUndefined else default


def _shown(value: Any, *, is_secret: bool) -> Any:
    if is_secret:
        return MASK if value else None
    return _masked(to_jsonable_python(value, fallback=str))


def _masked(value: Any) -> Any:
    """Mask what addresses have in them that is nobody else's business."""
    if isinstance(value, str):
        return _PARAMETER.sub(rf"\1{MASK}", _USER.sub(f"{MASK}@", value))
    if isinstance(value, list):
        return [_masked(each) for each in value]
    if isinstance(value, dict):
        return {name: _masked(each) for name, each in value.items()}
    return value


def _holds_secret(annotation: Any) -> bool:
    """Say whether a value of this type has a secret in it, at whatever depth."""
    if isinstance(annotation, type):
        if issubclass(annotation, (SecretStr, SecretBytes)):
            return True
        if issubclass(annotation, BaseModel):
            return any(_holds_secret(info.annotation) for info in annotation.model_fields.values())
    return any(map(_holds_secret, get_args(annotation)))
