"""The shapes around every message: commands, replies and updates."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from protocol.limits import INT_MAX

CommandId = Annotated[int, Field(ge=0, le=INT_MAX, description="Chosen by you; echoed as `re`.")]


class WireModel(BaseModel):
    """Validated strictly: no coercion, no unknown field, no NaN."""

    # Built when first used: a process uses few of them, and building all is a quarter of a start.
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class Ok(WireModel):
    """The command was executed, and its effects are committed."""

    re: CommandId
    type: Literal["ok"] = "ok"


class Refusal(WireModel):
    """The command was refused; nothing was changed."""

    re: CommandId | None
    type: Literal["error"] = "error"
    code: str
    message: str
    retry: bool
    field: str | None = None
    event_index: int | None = Field(
        default=None, description="Only for an illegal move that was logged and used its `cmd_no`."
    )
    head: int | None = Field(
        default=None, description="With `game_moved_on`: the index of the game's last event."
    )
    address: str | None = Field(
        default=None, description="With `wrong_node`: the server that hosts the game."
    )
    wait_s: float | None = Field(
        default=None,
        description="Seconds until the request can succeed, where known; with `cooldown`, "
        "seconds of the epochs' clock.",
    )
    details: dict[str, JsonValue] | None = Field(
        default=None, description="More, as the code's page says."
    )


class Command(WireModel):
    """A client's request; gets exactly one reply: its `reply` model or a `Refusal`."""

    reply: ClassVar[type[WireModel]] = Ok

    id: CommandId
    type: str


class Update(WireModel):
    """A message that the server sends unasked and outside any log."""

    type: str


def type_of(model: type[Command] | type[Update]) -> str:
    """The constant in a model's `type` field, for example `lobby.create`."""
    (value,) = model.model_fields["type"].annotation.__args__  # type: ignore[union-attr]  # Literal
    return str(value)
