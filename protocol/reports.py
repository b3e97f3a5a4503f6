"""Reports of what people should not see, and what moderators decide."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from protocol.blueprints import WireUserId
from protocol.creations import WireCreationId
from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Limit
from protocol.ids import UUID_PATTERN, ReportId
from protocol.lobbies import Cursor
from protocol.reactions import WireCommentId
from protocol.text import SOME_LINES

OPEN_REPORTS_MAX: Final = 200  # of one account

WireReportId = Annotated[ReportId, StringConstraints(pattern=UUID_PATTERN)]
WireMessageId = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
ReportReason = Literal[
    "spam",
    "harassment",
    "hate",
    "violence",
    "sexual",
    "nsfw_unmarked",
    "copyright",
    "impersonation",
    "self_harm",
    "other",
]
ReportStatus = Literal["open", "dismissed", "upheld"]
ReportDecision = Literal["none", "warned", "marked_nsfw", "removed", "deactivated"]
ReportText = Annotated[str, StringConstraints(max_length=2000), SOME_LINES]


class ReportTargetNotFound(PlayhallError):
    """There is nothing like that to report, or you may not see it."""

    code, status = "report_target_not_found", 404


class ReportNotFound(PlayhallError):
    """There is no such report."""

    code, status = "report_not_found", 404


class ReportDecided(PlayhallError):
    """Another moderator has already decided this report."""

    code, status = "report_decided", 409


class TooManyReports(PlayhallError):
    """You have the maximum number of open reports; wait until moderators have decided some."""

    code, status = "too_many_reports", 409


class NewReport(WireModel):
    """A report of one thing: a creation, a comment, a person, or a companion's message."""

    creation_id: WireCreationId | None = None
    comment_id: WireCommentId | None = None
    user_id: WireUserId | None = None
    message_id: WireMessageId | None = None
    reason: ReportReason
    details: ReportText = ""

    @model_validator(mode="after")
    def _one_target(self) -> "NewReport":
        targets = (self.creation_id, self.comment_id, self.user_id, self.message_id)
        if sum(target is not None for target in targets) != 1:
            raise ValueError("Name one creation, comment, person or message")
        return self


class ReportPath(WireModel):
    """The report in an address."""

    report_id: WireReportId


class FiledReport(WireModel):
    """A report, as the person who filed it sees it."""

    report_id: WireReportId
    creation_id: WireCreationId | None
    comment_id: WireCommentId | None
    user_id: WireUserId | None
    message_id: WireMessageId | None
    reason: ReportReason
    details: str
    status: ReportStatus
    created_at: str
    decided_at: str | None


class FiledReports(WireModel):
    """One page of your reports, newest first."""

    reports: list[FiledReport]
    next: str | None


class ReportQueueQuery(WireModel):
    """Which reports moderators read."""

    status: ReportStatus = "open"
    cursor: Cursor | None = None
    limit: Limit = 20


class QueuedReport(FiledReport):
    """A report, as moderators see it."""

    reporter_id: WireUserId | None
    owner_id: WireUserId | None = Field(description="Of what was reported.")
    excerpt: str | None = Field(description="A title, or the beginning of a text.")
    decision: ReportDecision | None
    decision_note: str | None
    decided_by: WireUserId | None


class ReportQueue(WireModel):
    """One page of reports, oldest first."""

    reports: list[QueuedReport]
    next: str | None


class ReportDecisionRequest(WireModel):
    """What moderators decide about a report, and about all others of the same thing."""

    decision: ReportDecision = Field(
        description="`none` dismisses it. `removed` is for creations and comments, `marked_nsfw` "
        "for creations; `warned` and `deactivated` are about the owner."
    )
    note: ReportText = Field(default="", description="For moderators; nobody else sees it.")


class FeaturedRequest(WireModel):
    """Whether a creation is featured."""

    is_featured: bool


class FeaturedCreation(WireModel):
    """Whether a creation is featured."""

    creation_id: WireCreationId
    is_featured: bool
