"""`kstyle app`: paint in a browser."""

import logging
from pathlib import Path

import click

from kstyle.cli.common import user_errors
from kstyle.cli.options import variable_option
from kstyle.cli.streams import print_to_stderr
from kstyle.config.style_config import StyleConfig
from kstyle.hardware.host import require_package

DEFAULT_PORT = 8370


@click.command("app")
@variable_option(
    "--logdir",
    name="logdir",
    default=StyleConfig.model_fields["logdir"].default,
    show_default=True,
    help="folder for the runs' folders and for uploaded pictures",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="address to listen on; one that other machines reach needs a token",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    metavar="N",
    help="port; 0: any that is free",
)
@variable_option(
    "--token",
    name="token",
    metavar="TEXT",
    help="letters and digits that a browser must know; better by $KSTYLE_TOKEN, as "
    "others on this machine see flags  [default: random where --host needs one]",
)
@click.option("--open", "open_page", is_flag=True, help="open the page in a browser")
def app_command(
    logdir: str, host: str, port: int, token: str | None, open_page: bool
) -> None:
    """Paint pictures in a browser.

    Needs pip install "kstyle[app]". Only this machine reaches the app, unless --host
    says otherwise; then the address that is printed has a token. Ctrl-C ends the app; a
    picture that is being painted is kept.
    """
    with user_errors("The app has ended."):
        require_package("nicegui", "app", "kstyle app")
        from kstyle.app.access import (
            TOKEN_KEY,
            check_token,
            is_loopback,
            new_token,
        )
        from kstyle.app.server import serve

        if token is not None:
            check_token(token)
        elif not is_loopback(host):
            token = new_token()

        def announce(address: str) -> None:
            if token is not None:
                address = f"{address}?{TOKEN_KEY}={token}"
            print_to_stderr(f"kstyle app: {address}  (Ctrl-C ends it)")
            if open_page:
                click.launch(address)

        logging.getLogger("kstyle").addHandler(logging.NullHandler())
        serve(Path(logdir), host, port, token, announce)
