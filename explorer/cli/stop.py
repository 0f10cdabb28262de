"""``explorer stop``: let a sweep's running epochs finish and leave it to be resumed."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    sweep: Annotated[str, typer.Argument(help="A sweep: its folder, or its name below ./runs; with --address its name.")],
    address: Annotated[str | None, typer.Option(help="Of the cluster's job server: http://HEAD:8265.")] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it has stopped.")] = True,
) -> None:
    """Stop a sweep in order, from any terminal that sees its folder or the cluster. `explorer resume` goes on with it."""
    if address is not None:
        from explorer.run.submission import stop_job

        job = stop_job(address, sweep)
        print(f"asked the job {job} to stop; watch it with: explorer status {sweep} --address {address} --logs")
        return
    from explorer.records import find_sweep
    from explorer.run.status import driver_state, status_of
    from explorer.run.stopping import request_stop, wait_until_stopped

    folder = find_sweep(sweep)
    status = status_of(folder)[0]
    if status.state != "running":
        print(f"sweep {status.name} is not running: {status.state}; nothing to stop")
        return
    request_stop(folder)
    print(f"asked sweep {status.name} ({status.where}) to stop; running epochs finish first", flush=True)
    if wait:
        wait_until_stopped(folder)
        print(f"sweep {status.name} is {driver_state(folder)}; go on with: explorer resume {sweep}")
