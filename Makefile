# make demo: the whole way in a few minutes.   make test: every test.   make check: what is read, not run.   make docs: docs/cli.md.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
BUDGET := 0.015
# Files of tests that run side by side: most of them wait for Ray, MLflow or ffmpeg half of the time.
TEST_WORKERS := 2

export RAY_USAGE_STATS_ENABLED = 0
export MLFLOW_DISABLE_TELEMETRY = true
export RAY_TRAIN_ENABLE_PREEMPTION_WATCHER = 0

.PHONY: demo docs test check soak install clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar off -c constraints.txt -e ".[dev]"
	touch $(STAMP)

# What a newcomer does, in order. Each line can be typed by hand; run it twice and it goes on where it was.
demo: $(STAMP)
	$(BIN)/explorer data synth demo/clips
	$(BIN)/explorer sweep quickstart
	$(BIN)/explorer pick quickstart --max-gflops $(BUDGET) --name demo
	$(BIN)/explorer predict runs/quickstart/picks/demo demo/clips/videos/clip_00005.mp4

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python docs/make_cli.py

# The browser tests drive Debian's chromium; where it can be installed it is, elsewhere they are skipped with the reason.
BROWSER = command -v chromium || test "$$(id -u)" != 0 || ! command -v apt-get || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

test: export OMP_NUM_THREADS = 1
test: check
	@{ $(BROWSER); } >/dev/null 2>&1 || echo "chromium could not be installed: the browser tests are skipped"
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

# A hundred random kills of everything that a sweep consists of: twenty minutes on a quiet machine (docs/results/chaos.md).
soak: $(STAMP)
	$(BIN)/python -m pytest -m soak
	$(BIN)/python -m benchmarks.chaos --kills 100 --json

clean:
	rm -rf $(VENV) runs demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache
