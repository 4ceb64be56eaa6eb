"""A request's body as files on disk: streamed, counted, and given a time that grows with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import PurePosixPath
from typing import Any, TypeVar

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from genrekit.files import AUDIO_SUFFIXES
from genrekit.server.problems import ProblemError
from genrekit.server.settings import ServerLimits
from genrekit.server.upload_folder import Upload, UploadFolder, UploadsFullError

T = TypeVar("T")

RAW_NAME = "audio"
_MAX_NAME = 200


async def receive(
    request: Request, folder: UploadFolder, limits: ServerLimits, name: str
) -> list[Upload]:
    """Write the files of a request's body to the folder of uploads.

    Args:
        request: with a multipart form, whose parts are the files, or else one file as its body.
        folder: where the files go. The caller removes them.
        limits: of its size and time.
        name: what a body that is one file is called.

    Returns:
        At least one file and at most limits.max_files. When an error is raised, none is left.

    Raises:
        ProblemError: 400 a broken form or a client that went away, 408 too slow, 413 too large, 415
            compressed, 503 no room on the disk.
    """
    _check_head(request, limits)
    kind, options = parse_options_header(request.headers.get("content-type"))
    uploads: list[Upload] = []
    make = _maker(folder, uploads, limits.max_files)
    try:
        is_form = kind == b"multipart/form-data"
        sink = _Form(options.get(b"boundary", b""), make) if is_form else make(name)
        await _pour(request, sink, limits)
        if not uploads:
            detail = "got no file; send a form with one or several, or one as the body"
            raise ProblemError(400, detail)
    except BaseException as error:
        for upload in uploads:
            upload.remove()
        problem = _problem_of(error, limits)
        if problem is None:
            raise
        raise problem from error
    return uploads


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do work for a client whose body has arrived; stop as soon as nobody waits for the result.

    Raises:
        ProblemError: 400 the client went away; nobody sees it.
    """
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ProblemError(400, "the client went away")
        return task.result()
    finally:
        task.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _check_head(request: Request, limits: ServerLimits) -> None:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ProblemError(
            415, "the body is compressed; send the file as it is", Accept_Encoding="identity"
        )
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limits.max_bytes:
        raise _too_large(limits)


def _problem_of(error: BaseException, limits: ServerLimits) -> ProblemError | None:
    """Return the problem that an error while receiving means to the client, if it means one."""
    if isinstance(error, TimeoutError):
        rate = f"{limits.upload_bytes_per_second:g} bytes a second"
        grace = f"the first {limits.upload_grace_seconds:g} s"
        return ProblemError(408, f"the upload was too slow: after {grace} it must be {rate}")
    if isinstance(error, FormParserError):
        detail = "the multipart form is broken; send it whole, as RFC 7578 defines it"
        return ProblemError(400, detail)
    if isinstance(error, ClientDisconnect):
        return ProblemError(400, "the upload ended early")
    if isinstance(error, UploadsFullError | OSError):
        return ProblemError(503, "no room for more uploads; try again later", Retry_After="10")
    return None


def _too_large(limits: ServerLimits) -> ProblemError:
    detail = f"the body is larger than {limits.max_bytes} bytes; send fewer or less"
    return ProblemError(413, detail)


async def _pour(request: Request, sink: _Form | Upload, limits: ServerLimits) -> None:
    """Write a body to its sink; the time that it may take grows with the bytes that came."""
    loop = asyncio.get_running_loop()
    latest = loop.time() + limits.upload_grace_seconds
    n_bytes = 0
    async with asyncio.timeout_at(latest) as limit:
        async for data in request.stream():
            n_bytes += len(data)
            if n_bytes > limits.max_bytes:
                raise _too_large(limits)
            if data:
                sink.write(data)
            limit.reschedule(latest + n_bytes / limits.upload_bytes_per_second)
    sink.finish()


def _maker(folder: UploadFolder, uploads: list[Upload], max_files: int) -> Callable[[str], Upload]:
    def make(name: str) -> Upload:
        if len(uploads) == max_files:
            detail = f"got more than {max_files} files; send them in several requests"
            raise ProblemError(413, detail)
        shown = _shown(name)
        suffix = PurePosixPath(shown).suffix.lower()
        uploads.append(Upload(folder, shown, suffix if suffix in AUDIO_SUFFIXES else ""))
        return uploads[-1]

    return make


def _shown(name: str) -> str:
    r"""Return the last part of a name as it came, harmless to show.

    >>> _shown("../../etc/passwd"), _shown("C:\\Music\\a\x00b.mp3"), _shown("..")
    ('passwd', 'a?b.mp3', 'audio')
    """
    last = name.replace("\\", "/").rpartition("/")[2].strip(" .")
    return "".join(c if c.isprintable() else "?" for c in last)[-_MAX_NAME:] or RAW_NAME


class _Form:
    """A multipart form: every part of it is a file called "file", with or without a file name."""

    def __init__(self, boundary: bytes, make: Callable[[str], Upload]) -> None:
        if not boundary:
            raise FormParserError("no boundary")
        self._make = make
        self._field, self._value, self._disposition = b"", b"", b""
        self._upload: Upload | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )
        self._has_ended = False

    def write(self, data: bytes) -> None:
        self._parser.write(data)

    def finish(self) -> None:
        if not self._has_ended:
            raise FormParserError("it ends early")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        if options.get(b"name") != b"file":
            detail = "got a part of another name; name every part of the form 'file'"
            raise ProblemError(400, detail)
        self._upload = self._make(options.get(b"filename", b"").decode("utf-8", "replace"))
        self._disposition = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._upload is not None:
            self._upload.write(data[start:end])

    def _on_part_end(self) -> None:
        if self._upload is not None:
            self._upload.finish()

    def _on_end(self) -> None:
        self._has_ended = True
