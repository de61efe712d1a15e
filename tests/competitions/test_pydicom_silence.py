import threading
import warnings

import pytest

from goldfold.competitions.pydicom_silence import Silence


def warn(module: str) -> None:
    warnings.warn_explicit("odd", UserWarning, "file.py", 1, module=module, registry={})


def test_only_the_named_modules_are_silent(recwarn: pytest.WarningsRecorder) -> None:
    with Silence(r"(pydicom|PIL)\b"):
        warn("pydicom.valuerep")
        warn("pydicomlike")
    warn("pydicom.valuerep")
    assert len(recwarn.list) == 2


def test_threads_that_leave_out_of_order_restore_the_filters() -> None:
    silence, before = Silence("pydicom"), list(warnings.filters)
    inside, leave = threading.Barrier(3), threading.Event()

    def stay(wait: bool) -> None:
        with silence:
            inside.wait(5)
            if wait:
                leave.wait(5)

    threads = [threading.Thread(target=stay, args=(wait,)) for wait in (False, True)]
    for thread in threads:
        thread.start()
    inside.wait(5)
    threads[0].join(5)
    assert warnings.filters != before
    leave.set()
    threads[1].join(5)
    assert warnings.filters == before
