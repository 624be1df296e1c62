"""How ONNX Runtime's threads behave, for every session that we open on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

_SPIN_MICROSECONDS = 50
"""How long a thread stays awake for the next operator.

Its default of some milliseconds takes the cores from whoever else needs them: beside two other busy processes on two
cores, text took 1.3 to 1.5 times as long as without any. Without any, a thread is put to sleep and woken for each of a
step's hundreds of operators: on an idle machine, text took 1.1 to 1.3 times as long as with this.
"""


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Options of a session that runs one thing at a time, as fast as is fair to other processes.

    Args:
        threads: That compute together; 0: the machine's physical cores.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(_SPIN_MICROSECONDS))
    options.add_session_config_entry("session.force_spinning_stop", "1")  # not between two runs
    return options
