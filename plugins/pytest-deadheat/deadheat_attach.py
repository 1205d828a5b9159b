"""Functions of a test as actors of a scenario, through the local API of `deadheat serve` (docs/api.md)."""

import json
import os
import subprocess
import threading
import urllib.error
import urllib.request

# How long the program is given to say where it listens, or to end, in seconds.
PATIENCE = 30


class Refused(Exception):
    """What the program does not do, and why."""


class Lab:
    """A scenario that `deadheat serve` has up. The functions play the actors of their names, each on a thread of its
    own; a function is called with its environment, in which DATABASE_URL leads to the gate."""

    def __init__(self, words, actors, cwd=None, env=None):
        self.actors = actors
        # Its standard input is a pipe that closes when this process ends, however it does: then the program ends too.
        self.process = subprocess.Popen(
            words, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.threads = []
        first = self.process.stdout.readline()
        if not first:
            raise Refused(self.process.communicate()[1].strip())
        # What it says of its progress is not read: it must not fill the pipe.
        self.said = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.said.start()
        self.address = json.loads(first)["address"] + "v1"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()
        self.process.stdout.close()

    def search(self):
        """Searches; what it comes to, as `deadheat find --json` has it, and in words."""
        over = self._play("search", {})
        return over["result"], over["text"]

    def play(self, schedule):
        """Plays the actors in this order and lets the run go on to its end; where everybody is after the schedule."""
        return self._play("play", {"schedule": list(schedule)})["result"]

    def _play(self, what, order):
        self._ask(what, {"pid": os.getpid(), **order})
        while True:
            news = self._ask("next", {})
            if news["event"] == "begin":
                # A thread waits in the database until the actor is let go on; the next news must not wait for it.
                thread = threading.Thread(target=self._act, args=(news,), name=news["actor"])
                self.threads = [one for one in self.threads if one.is_alive()] + [thread]
                thread.start()
            elif news["event"] == "over":
                for thread in self.threads:
                    thread.join(PATIENCE)
                if "error" in news:
                    raise Refused(news["error"].strip())
                return news

    def _act(self, news):
        failed, output = False, None
        try:
            output = self.actors[news["actor"]](news["environment"])
        except Exception as error:  # whatever it is, it is how the actor ended
            failed, output = True, f"{type(error).__name__}: {error}"
        # What a function returns is compared between runs: as text that says the same each time.
        text = output if isinstance(output, str) or output is None else json.dumps(output, sort_keys=True, default=str)
        self._ask("done", {"turn": news["turn"], "failed": failed, "output": text})

    def _ask(self, path, body):
        request = urllib.request.Request(
            f"{self.address}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        # Straight to this machine, whatever proxy there is for others.
        straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with straight.open(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error)["error"]) from None
