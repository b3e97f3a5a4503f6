"""The errors about what people make: blueprints and files. Flat children, as in `errors`."""

from protocol.errors import PlayhallError

# ------------------------------------------------------------------ blueprints


class BlueprintNotFound(PlayhallError):
    """There is no such blueprint, or it is not on the market."""

    code, status = "blueprint_not_found", 404


class BlueprintTaken(PlayhallError):
    """You have a blueprint of this name already; choose another name or version."""

    code, status = "blueprint_taken", 409


class NameOnMarket(PlayhallError):
    """Another blueprint of this name is on the market; publish yours under another."""

    code, status = "name_on_market", 409


class TooManyBlueprints(PlayhallError):
    """You have as many blueprints as one account may have; delete one first."""

    code, status = "too_many_blueprints", 409


# ------------------------------------------------------------------ files


class FileMissing(PlayhallError):
    """There is no such file, or you may not see it."""

    code, status = "file_not_found", 404


class FileTaken(PlayhallError):
    """There is a file at this path, or an upload to it under way; delete it, or take another."""

    code, status = "file_taken", 409


class FileRefused(PlayhallError):
    """The file is not what was announced, or not what this bucket takes."""

    code, status = "file_refused", 422


class BadUpload(PlayhallError):
    """This upload URL is not valid, expired, or used already; ask for a new one."""

    code, status = "bad_upload", 403


class QuotaExceeded(PlayhallError):
    """Your files take as much room as one account may have; delete some first."""

    code, status = "quota_exceeded", 409


class BadRange(PlayhallError):
    """The file is shorter than the range that you ask for."""

    code, status = "bad_range", 416


class StorageFull(PlayhallError):
    """The file store is full; nothing was stored, try again when the operator has made room."""

    code, status, retry = "storage_full", 507, True
    retry_pause_s = 60.0
