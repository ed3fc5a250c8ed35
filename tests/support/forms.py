"""What is in a form that was posted (multipart/form-data), as the standard library's parser has it."""

from email import message_from_bytes, policy
from typing import NamedTuple


class Field(NamedTuple):
    """A field of a form that is a file."""

    name: str
    file_name: str
    content_type: str
    content: bytes


def fields(content_type: str, body: bytes) -> list[Field]:
    """Return the fields of a form, in order."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=policy.HTTP)
    assert message.get_content_type() == "multipart/form-data"
    assert not message.defects
    return [
        Field(
            part.get_param("name", header="Content-Disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]
