"""The app's server, without a browser."""

import pytest

from kstyle.errors import ConfigError
from kstyle.files import lock_folder


def test_a_second_app_on_the_same_folder_is_refused(tmp_path):
    pytest.importorskip("nicegui", reason="the extra app is not installed")
    from kstyle.app.server import serve

    with lock_folder(tmp_path):
        with pytest.raises(ConfigError, match="in use by another kstyle"):
            serve(tmp_path, "127.0.0.1", 0, None, print)
