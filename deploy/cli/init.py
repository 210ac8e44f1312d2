"""``groundspeed init``: the gate's configuration for a project, and a CI workflow that runs it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import click

from groundspeed.deploy.cli.options import json_option
from groundspeed.deploy.cli.output import print_json
from groundspeed.documents import write_atomically
from groundspeed.errors import UsageError

WORKFLOW = Path(".github/workflows/groundspeed.yml")

_CONFIG = """\
# What 'groundspeed check' does in this project. Every option of the command can be set here by its
# name ('groundspeed check --help' lists them); the command line wins.
[check]
networks = {networks}  # path/to/file.py:function, or names of 'groundspeed models'
baseline = {baseline}  # a branch, tag or commit, a stored run's number, or a folder of artifacts
runtimes = {runtimes}
precision = "fp32"
threads = [1]
on = ["local"]  # and devices that are named below
margin = "3%"  # the slowdown that must not pass
level = "1%"  # how often a check may fail when nothing became slower
pairs = 40  # of launches, at most, for each comparison

# Limits that hold whatever the baseline was. A table [check.budgets."NETWORK"] is for one alone.
[check.budgets]
# max_ms = 20            # latency
# max_first_run_ms = 50  # the first inference of a process
# max_memory_mb = 100    # more than before the file was opened, at the peak
# max_mb = 10            # size of the files
# max_error = 1e-3       # difference from the network over its largest output
# min_accuracy = 0.9     # by the newest 'groundspeed eval' of the file

# [devices]
# pi5 = "ssh://pi@10.0.0.7"
# pixel = "adb://2A031FDH2003ZX"
"""

_WORKFLOW = """\
# Did this change make the networks slower? 'groundspeed check' measures old and new side by side.
name: groundspeed
on: pull_request
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0  # the baseline is a commit
      - uses: actions/setup-python@v5
        with:
          python-version: "3.11"
      - run: pip install torch --index-url https://download.pytorch.org/whl/cpu
      - run: pip install "groundspeed[all]"
      - uses: actions/cache@v4  # what was exported once is not exported again
        with:
          path: groundspeed-results
          key: groundspeed-${{ github.run_id }}
          restore-keys: groundspeed-
      - run: >-
          groundspeed check
          --baseline "${{ github.event.pull_request.base.sha }}"
          --markdown "$GITHUB_STEP_SUMMARY"
          --junit groundspeed.xml
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: groundspeed
          path: groundspeed.xml
"""

# Runtime -> the module that it needs here.
_RUNTIMES = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert", "ncnn": "ncnn"}


@click.command()
@click.argument("networks", nargs=-1, required=True)
@click.option("--baseline", default="main", show_default=True, help="What to compare with.")
@click.option("--force", is_flag=True, help="Write over files that exist.")
@json_option
def command(networks: tuple[str, ...], baseline: str, force: bool, as_json: bool) -> None:
    """Write a groundspeed.toml for NETWORKS, and a GitHub workflow that checks pull requests.

    Both lie in the current folder, which should be the root of your repository.

    \b
    Example:
      groundspeed init path/to/net.py:build
    """
    from groundspeed.deploy.devices.config import FILE

    runtimes = [name for name, module in _RUNTIMES.items() if importlib.util.find_spec(module)]
    texts = {
        Path(FILE): _CONFIG.format(
            networks=json.dumps(networks, ensure_ascii=False),
            baseline=json.dumps(baseline, ensure_ascii=False),
            runtimes=json.dumps(runtimes or list(_RUNTIMES)),
        ),
        WORKFLOW: _WORKFLOW,
    }
    present = [str(path) for path in texts if path.exists()]
    if present and not force:
        raise UsageError(f"{' and '.join(present)} exist already; add --force to write over them")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    if as_json:
        print_json({"written": list(texts)})
        return
    for path in texts:
        click.echo(f"wrote {path}")
    click.echo("next: commit both, and try it with 'groundspeed check'")
