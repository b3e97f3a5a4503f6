"""The settings of companions."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from server.core.settings import Settings


class CompanionsSettings(Settings):
    """`PLAYHALL_AI_*` and `PLAYHALL_COMPANIONS_*`."""

    ai_url: str | None = Field(
        default=None,
        description="An OpenAI-compatible API, such as https://api.openai.com/v1; without it, the "
        "built-in offline provider answers.",
    )
    ai_key: SecretStr | None = Field(default=None, description="The key of this API.")
    ai_model: str = Field(default="gpt-4o-mini", min_length=1, max_length=100)
    ai_cost_input: float = Field(default=0.0, ge=0, description="US dollars for 10⁶ tokens read.")
    ai_cost_output: float = Field(
        default=0.0, ge=0, description="US dollars for 10⁶ tokens written."
    )
    ai_context_tokens: int = Field(
        default=8192, ge=1024, le=1_000_000, description="What a prompt may take, about."
    )
    ai_answer_tokens: int = Field(default=1024, ge=16, le=4000, description="Of one answer.")
    ai_silence_s: float = Field(
        default=30.0, gt=0, le=600, description="How long the API may send nothing."
    )
    ai_timeout_s: float = Field(default=180.0, gt=0, le=3600, description="Of one answer.")
    ai_embedding_model: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="A model of this API for `/embeddings`, such as text-embedding-3-small; "
        "memories are recalled by it.",
    )
    ai_embedding_timeout_s: float = Field(
        default=3.0, gt=0, le=60, description="Of a request to `/embeddings`."
    )
    companions_embeddings: Literal["words", "e5"] = Field(
        default="words",
        description="What memories are recalled by without such a model: the words, or "
        "multilingual-e5-small of playhall-server[embeddings].",
    )
    companions_abandoned_s: float = Field(
        default=30.0,
        ge=1,
        le=600,
        description="After how long without its node an answer has failed.",
    )
    companions_streams_max: int = Field(
        default=1000, ge=1, le=20_000, description="Answers that a node writes at a time."
    )
    companions_messages_per_minute: int = Field(default=30, ge=1, description="Of one account.")
    companions_messages_burst: int = Field(default=10, ge=1, description="At once after a pause.")
    companions_messages_explorer: int = Field(default=100, ge=0, description="A day.")
    companions_messages_creator: int = Field(default=500, ge=0, description="A day.")
    companions_messages_realm_builder: int = Field(default=2000, ge=0, description="A day.")
    companions_refused_words: str = Field(
        default="", description="Neither people nor companions may use them; comma separated."
    )

    @field_validator("ai_url")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("Begin the address with https:// or http://")
        return (url or "").rstrip("/") or None

    def messages_max(self, tier: str) -> int:
        """How many messages an account of this tier may send in a day."""
        return {
            "creator": self.companions_messages_creator,
            "realm_builder": self.companions_messages_realm_builder,
        }.get(tier, self.companions_messages_explorer)
