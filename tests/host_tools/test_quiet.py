"""What libraries say while they work stays away from the user; what we say does not."""

from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest
from thumbnet.host_tools.errors import HostToolsError
from thumbnet.host_tools.pipeline.quiet import quiet_libraries


def test_libraries_are_not_heard_and_we_are(capfd):
    with quiet_libraries():
        os.write(1, b"native output\n")
        os.write(2, b"native error\n")
        logging.getLogger("absl").warning("use of something deprecated")
        warnings.warn("statistics were expected", UserWarning, stacklevel=1)
        print("our progress", file=sys.stderr)
    logging.getLogger("other").warning("heard again")
    out, err = capfd.readouterr()
    assert out == "" and "native" not in err and "deprecated" not in err and "statistics" not in err
    assert "our progress" in err
    assert logging.root.manager.disable == 0


def test_what_was_swallowed_is_told_when_the_work_fails(capfd):
    with pytest.raises(ValueError, match="of ours"), quiet_libraries():
        os.write(2, b"why it failed\n")
        raise ValueError("of ours")
    assert "why it failed" in capfd.readouterr().err


def test_a_mistake_of_the_user_is_one_sentence(capfd):
    with pytest.raises(HostToolsError), quiet_libraries():
        os.write(2, b"no GPU was found\n")
        raise HostToolsError("the network x.keras does not exist")
    assert capfd.readouterr().err == ""
