"""How gunicorn serves the shop; it reads this file by itself."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
workers = 4
# Loads the shop once, before the port opens.
preload_app = True
# A request that waits for its turn is no hung worker.
timeout = 600
graceful_timeout = 1
# Heartbeats stay in memory.
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
