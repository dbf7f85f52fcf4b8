"""A server of chat completions that takes its time: so many sequences at once, so long a token.

    python benchmarks/strategy_server.py --limit 256 --delay 0.005 [--steps 4 --step-tokens 16]

It prints its port. `GET /stats` answers with the sequences it generated, the seconds between the first and
the last, and the share of the limit that ran in the mean; `GET /reset` starts anew. One with `stop` gets one
step, any other a whole completion. Standard library alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from typing import Any

STEP = "Step holds."


class Served:
    """What was served so far."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.given = arguments
        self.slots = asyncio.Semaphore(arguments.limit)
        self.reset()

    def reset(self) -> None:
        self.sequences, self.busy = 0, 0.0
        self.first = self.last = 0.0

    async def sequence(self, body: dict[str, Any]) -> tuple[str, str, int]:
        """Return a text, why it ended, and its tokens, after as long as they take."""
        step, before = bool(body.get("stop")), body["messages"][-1]
        done = before["content"].count(STEP) if before["role"] == "assistant" else 0
        last = done + 1 >= self.given.steps
        tokens = self.given.step_tokens * (1 if step else self.given.steps)
        async with self.slots:
            begun = time.perf_counter()
            self.first = self.first or begun
            await asyncio.sleep(tokens * self.given.delay)
            self.last = time.perf_counter()
            self.busy += self.last - begun
            self.sequences += 1
        text = STEP if step else "\n\n".join([STEP] * self.given.steps)
        ended = f" The answer is {random.randrange(8)}."
        if step and not last:
            kept = body.get("include_stop_str_in_output")
            return text + ("\n\n" if kept else ""), "stop", tokens
        return text + ended, "stop", tokens

    def stats(self) -> dict[str, float]:
        seconds = self.last - self.first
        share = self.busy / seconds / self.given.limit if seconds else 0.0
        return {"sequences": self.sequences, "seconds": seconds, "share": share}

    async def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        made = await asyncio.gather(*(self.sequence(body) for _ in range(body.get("n") or 1)))
        stop = body.get("stop")
        stop = [stop] if isinstance(stop, str) else stop
        choices = [
            {
                "index": at,
                "finish_reason": reason,
                # as vLLM says which string ended it; null at the end of a completion
                "stop_reason": stop[0] if stop and "The answer" not in text else None,
                "message": {"role": "assistant", "content": text},
                "logprobs": None,
            }
            for at, (text, reason, _) in enumerate(made)
        ]
        generated = sum(tokens for *_, tokens in made)
        usage = {"prompt_tokens": 20, "completion_tokens": generated, "total_tokens": 20 + generated}
        about = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
        return {**about, "choices": choices, "usage": usage}

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
                content = await reader.readexactly(int(headers.get("content-length", 0)))
                if first.startswith("GET"):
                    if "/reset" in first:
                        self.reset()
                    reply = self.stats()
                else:
                    reply = await self.answer(json.loads(content))
                data = json.dumps(reply).encode()
                about = f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
                writer.write(f"HTTP/1.1 200 OK\r\n{about}".encode() + data)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=256)
    parser.add_argument("--delay", type=float, default=0.005, help="seconds of a token")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--step-tokens", type=int, default=16)
    served = Served(parser.parse_args())
    server = await asyncio.start_server(served.connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
