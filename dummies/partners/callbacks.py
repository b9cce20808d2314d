"""The callbacks of the dummy: some time after a request it reports its completion."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from dummies.partners.refusals import unprocessable
from lcm_operator import logs

_TRIES = 60
_PAUSE_SECONDS = 1
_TIMEOUT = aiohttp.ClientTimeout(total=10)
log = logs.get(__name__)


class Callbacks:
    """What is still to be reported; `seconds`: how long everything takes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._coming: set[asyncio.Task[None]] = set()

    async def lifetime(self, _: web.Application) -> AsyncIterator[None]:
        """Let nothing outlive the application."""
        yield
        coming = list(self._coming)
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)

    def promise(self, request: web.Request, token: str) -> None:
        """Call back where the request wants it, showing the token that came with it. Raises a refusal."""
        url = request.query.get("callback_url", "")
        if not url.startswith(("http://", "https://")):
            raise unprocessable("callback_url must be a URL")
        task = asyncio.create_task(self._report(url, token))
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)

    async def _report(self, url: str, token: str) -> None:
        """Report until somebody answers who is able to; a refusal is final."""
        await asyncio.sleep(self._seconds)
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            for _ in range(_TRIES):
                try:
                    async with session.post(url, headers={"Authorization": token}) as answer:
                        log.info("called back", url=url, status=answer.status)
                        if answer.status < 500:  # noqa: PLR2004 - the caller's fault, or none
                            return
                except (aiohttp.ClientError, TimeoutError) as error:
                    log.warning("callback failed; retrying", url=url, error=error)
                await asyncio.sleep(_PAUSE_SECONDS)
