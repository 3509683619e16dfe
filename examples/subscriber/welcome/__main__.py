"""`python -m welcome`: runs until SIGTERM or Ctrl-C, then finishes the record in hand, commits and leaves the group."""

import logging
import signal
import threading

from .config import Config
from .subscriber import Subscriber

logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
stop = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stop.set())
Subscriber(Config.from_env()).run(stop)
