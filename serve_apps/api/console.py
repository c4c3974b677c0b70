"""The console's files, kept in memory: a page is forty small ones, and it shows nothing before it has them."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse, Response
from starlette.staticfiles import PathLike, StaticFiles
from starlette.types import Receive, Scope, Send

CONSOLE = Path(__file__).parent.parent / "console"
# What pages of other sites load: it is public and tells nothing.
EMBED = f"embed{os.sep}"
FOR_ALL_SITES = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
SMALL_BYTES = 500  # shorter bodies are not worth an attempt to make them shorter


@dataclass(frozen=True, slots=True)
class _File:
    """One file as it goes out, and the state of the disk that this is true of."""

    path: str
    changed: tuple[int, int]  # mtime in ns and size
    headers: dict[str, str]
    body: bytes
    packed: bytes | None  # by gzip

    @classmethod
    def read(cls, path: str, stat: os.stat_result, *, is_public: bool) -> _File:
        headers = dict(FileResponse(path, stat_result=stat).headers)  # its type, time and tag
        # The browser keeps them and asks by ETag, so that a new version is seen at once.
        headers |= {"cache-control": "no-cache", "vary": "Accept-Encoding"} | (FOR_ALL_SITES if is_public else {})
        for name in ("content-length", "accept-ranges"):
            del headers[name]
        body = Path(path).read_bytes()
        packed = gzip.compress(body, mtime=0) if len(body) >= SMALL_BYTES else None
        return cls(path, (stat.st_mtime_ns, stat.st_size), headers, body, packed)

    @property
    def is_current(self) -> bool:
        try:
            stat = os.stat(self.path)  # noqa: PTH116 - on the way of every request
        except OSError:
            return False
        return (stat.st_mtime_ns, stat.st_size) == self.changed


class ConsoleFiles(StaticFiles):
    """`StaticFiles` whose files are read and compressed once, and again when they change."""

    def __init__(self, directory: Path = CONSOLE) -> None:
        super().__init__(directory=directory, html=True, check_dir=False)
        self._files: dict[str, _File] = {}  # as many as there are files: what is no file is not kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer at once what is held; what is not, and what is wrong, is the parent's."""
        held = self._held(scope) if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else None
        if held is None:
            await super().__call__(scope, receive, send)
        else:
            await self._answer(held, scope)(scope, receive, send)

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Keep the file, and answer with it."""
        path = self.get_path(scope)
        file = _File.read(str(full_path), stat_result, is_public=path.startswith(EMBED))
        self._files[path] = file
        return self._answer(file, scope)

    def _held(self, scope: Scope) -> _File | None:
        file = self._files.get(self.get_path(scope))
        return file if file and file.is_current else None

    def _answer(self, file: _File, scope: Scope) -> Response:
        asked = Headers(scope=scope)
        headers = MutableHeaders(dict(file.headers))
        if self.is_not_modified(headers, asked):
            del headers["content-type"]
            return Response(status_code=304, headers=headers)
        body = file.body
        if file.packed is not None and "gzip" in asked.get("accept-encoding", ""):
            body, headers["content-encoding"] = file.packed, "gzip"
        return Response(body, headers=headers)
