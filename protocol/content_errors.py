"""The errors about what people make: blueprints and files. Flat children, as in `errors`."""

from protocol.errors import PlayhallError

# ------------------------------------------------------------------ blueprints


class BlueprintNotFound(PlayhallError):
    """There is no such blueprint, or it is not published."""

    code, status = "blueprint_not_found", 404


class BlueprintTaken(PlayhallError):
    """You already have a blueprint with this name; choose another name or version."""

    code, status = "blueprint_taken", 409


class NameOnMarket(PlayhallError):
    """A blueprint with this name is already published; publish yours under another name."""

    code, status = "name_on_market", 409


class TooManyBlueprints(PlayhallError):
    """You have the maximum number of blueprints; delete one first."""

    code, status = "too_many_blueprints", 409


# ------------------------------------------------------------------ files


class FileMissing(PlayhallError):
    """There is no such file, or you may not see it."""

    code, status = "file_not_found", 404


class FileTaken(PlayhallError):
    """A file or an upload already exists at this path; delete it or choose another path."""

    code, status = "file_taken", 409


class FileRefused(PlayhallError):
    """The file does not match its announcement, or this bucket does not accept it."""

    code, status = "file_refused", 422


class BadUpload(PlayhallError):
    """This upload URL is invalid, expired, or already used; request a new one."""

    code, status = "bad_upload", 403


class QuotaExceeded(PlayhallError):
    """Your storage quota is used up; delete some files first."""

    code, status = "quota_exceeded", 409


class BadRange(PlayhallError):
    """The requested range is beyond the end of the file."""

    code, status = "bad_range", 416


class StorageFull(PlayhallError):
    """The file store is full and nothing was stored; try again when there is space."""

    code, status, retry = "storage_full", 507, True
    retry_pause_s = 60.0
