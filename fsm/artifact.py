"""What the service knows of a firmware file: the part of it received so far, and the whole of it."""

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """The part of a download that is safe on disk, and what it takes to continue it.

    Attributes:
        length: bytes at the front of the part file that have been synced to disk.
        total: the whole file's length as the server announced it, if it did.
        validator: the strong ETag or the Last-Modified that the bytes belong to, as the server wrote it (`If-Range`).
    """

    model_config = ConfigDict(frozen=True)

    length: int = Field(default=0, ge=0)
    total: int | None = None
    validator: str | None = None


class Artifact(BaseModel):
    """A complete download: its length in bytes and its SHA-256 digest in lower-case hex."""

    model_config = ConfigDict(frozen=True)

    length: int = Field(ge=0)
    sha256: str
