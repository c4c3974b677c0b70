"""Does a new job find the uploads that it names?"""

from __future__ import annotations

import anyio.to_thread

from thornback.artifacts.uploads import PICTURES, VIDEO, kind_of_upload, owner_of_upload
from thornback.errors import InvalidInput
from thornback.jobs.addresses import UPLOAD, addresses
from thornback.jobs.spec import JobSpec
from thornback.settings import Settings

_VIDEO_FIELD = "config.video_url"
_WORDS = {PICTURES: "a ZIP of pictures", VIDEO: "a video"}


async def check_uploads(spec: JobSpec, settings: Settings, *, user: str | None = None) -> None:
    """Raises InvalidInput, which names the field, where an upload is not there or is something else.

    `user`: another's uploads are not there for them; None: whoever's may be named.
    """
    named = [(field, text) for field, text in addresses(spec.config.model_dump(mode="json")) if text.startswith(UPLOAD)]
    for field, text in named:
        wanted = VIDEO if field == _VIDEO_FIELD else PICTURES
        found = await anyio.to_thread.run_sync(kind_of_upload, settings.storage, text.removeprefix(UPLOAD))
        if found is not None and user is not None:
            owner = await anyio.to_thread.run_sync(owner_of_upload, settings.storage, text.removeprefix(UPLOAD))
            found = found if owner in (None, user) else None
        if found is None:
            problem = (
                f"there is no upload {text.removeprefix(UPLOAD)[:80]}; send the file and name the id that comes back"
            )
            raise InvalidInput.field(field, problem)
        if found != wanted:
            raise InvalidInput.field(field, f"{text} is {_WORDS[found]}, and {_WORDS[wanted]} is needed here")
