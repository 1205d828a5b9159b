# make build, test, lint: everyday. demo: see it work. shops: a real shop to try it on. bench, soak: how fast, how
# steady. stories: every race is found, every cure is clean. book: the pages of docs/ as a website.

CARGO ?= cargo
# The services of the examples.
SERVICES = -p lobby-rust -p cardstories -p long-calculation -p marketplace -p retry-bank -p queue-ours

.PHONY: book build compat demo fuzz test lint shops bench soak stories clean

book:
	tools/book

build:
	$(CARGO) build --release --workspace

demo:
	tools/postgres
	$(CARGO) build --release -p deadheat -p lobby-rust
	tools/demo

test:
	tools/setup
	# Not optimized: that takes longer than all the requests they get.
	CARGO_PROFILE_RELEASE_OPT_LEVEL=0 $(CARGO) build --release $(SERVICES)
	tools/test

lint:
	tools/libpq
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) test --workspace --test tidy

shops:
	tools/python examples/oscar/requirements.txt examples/oscar/.venv

bench: build
	tools/postgres
	tools/bench

# Half an hour on two cores; FUZZ says how many tries each target gets.
fuzz:
	PROPTEST_CASES=$${FUZZ:-1000000} $(CARGO) test --release -p deadheat-gate --lib session::

compat: build
	tools/compat

stories:
	tools/postgres
	tools/node examples/queues/pg-boss
	$(CARGO) build --release -p deadheat $(SERVICES)
	tools/stories

soak: build
	tools/setup
	tools/soak

clean:
	$(CARGO) clean
	rm -rf .venv examples/oscar/.venv plugins/pytest-deadheat/.venv
	rm -rf examples/lobby/node/node_modules examples/commands/node_modules
	rm -rf examples/queues/pg-boss/node_modules
	rm -rf .deadheat examples/oscar/shop/media
