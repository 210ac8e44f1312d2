"""``groundspeed predict``: a latency without running anything, marked as a prediction."""

from __future__ import annotations

from pathlib import Path

import click

from groundspeed.deploy.cli.options import (
    existing_store,
    json_option,
    network_options,
    store_option,
)
from groundspeed.deploy.cli.output import console, print_json
from groundspeed.deploy.cli.values import Names
from groundspeed.deploy.store.location import Location
from groundspeed.errors import UsageError


@click.command()
@click.argument("network")
@click.option(
    "--for",
    "device",
    default="local",
    show_default=True,
    help="Device, by the name that it was characterized under.",
)
@click.option("--runtimes", type=Names(), help="Runtimes.  [default: all characterized]")
@network_options
@store_option
@json_option
def command(
    network: str,
    device: str,
    runtimes: tuple[str, ...] | None,
    input_shapes: tuple[tuple[int, ...], ...],
    weights: Path | None,
    location: Location,
    as_json: bool,
) -> None:
    """Predict the latency of NETWORK on a device that 'groundspeed characterize' knows.

    Nothing is exported or run. The interval and the error come from networks that were left out of
    the model in turn; profiles of NETWORK itself are left out, too.

    \b
    Example:
      groundspeed predict net.py:build --for pi5
    """
    from groundspeed.deploy import sources
    from groundspeed.deploy.feedback.costs.gather import gather
    from groundspeed.deploy.feedback.costs.prediction import predict
    from groundspeed.deploy.inspecting import inspect
    from groundspeed.deploy.report.costs import prediction_table
    from groundspeed.deploy.store.store import Store

    with Store(existing_store(location)) as store:
        known = gather(store, device)
    known = {each: seen for each, seen in known.items() if not runtimes or each.runtime in runtimes}
    if not known:
        asked = f" in {', '.join(runtimes)}" if runtimes else ""
        raise UsageError(
            f"nothing was profiled on {device}{asked}; run 'groundspeed characterize --on {device}'"
        )
    loaded = sources.load(network, input_shapes=input_shapes, weights=weights)
    ops = inspect(loaded).ops
    identity = (loaded.name, sum(op.macs for op in ops))
    predicted = {
        setting: predict(ops, [one for one in examples if one.identity != identity])
        for setting, examples in known.items()
    }
    if as_json:
        rows = [{"setting": each, "prediction": one} for each, one in predicted.items()]
        print_json({"network": loaded.name, "measured": False, "predictions": rows})
    else:
        console().print(prediction_table(loaded.name, predicted))
