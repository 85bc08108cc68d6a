"""Several processes behind one address."""

from uvicorn.supervisors import Multiprocess


class Workers(Multiprocess):
    """Uvicorn's workers, but that a death is seen at once, also of one that was just asked whether it is alive.

    As long as the worker's end of the line between them is open here too, its silence can be told from nothing else.
    """

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that have died."""
        for worker in self.processes:
            worker.child_conn.close()
        super().keep_subprocess_alive()
