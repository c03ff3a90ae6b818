"""The widget: it shows what an `Explorer` finds, and hands it what people ask for."""

from __future__ import annotations

import logging
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from soundit_geo.errors import SounditError
from soundit_geo.explorer.words import dots, side_by_side
from soundit_geo.maps.base import base_of
from soundit_geo.recordings import to_lonlat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import geopandas as gpd

    from soundit_geo.explorer.explorer import Explorer
    from soundit_geo.study import Progress

log = logging.getLogger(__name__)

_HERE: Final = Path(__file__).parent
_IDLE: Final[dict[str, Any]] = {"going": False, "ending": False, "done": 0, "total": 0, "pending": 0}


class Panel(anywidget.AnyWidget):
    """A panel on a study.

    What takes long happens in threads, so that the kernel stays free; what fails is told in the panel's last line.

    Parameters
    ----------
    explorer : Explorer
        What tries the prompts.
    base : mapping of str to geopandas.GeoDataFrame
        Layers beneath the sites.
    """

    _esm = _HERE / "panel.js"
    _css = _HERE / "panel.css"

    plan = traitlets.Dict(help="sites and base layers").tag(sync=True)
    scenarios: Any = traitlets.List(help="names").tag(sync=True)
    prompts: Any = traitlets.List(help="suggestions").tag(sync=True)
    site = traitlets.Unicode(help="the chosen one").tag(sync=True)
    against = traitlets.Unicode(help="the scenario to compare with").tag(sync=True)
    prompt = traitlets.Unicode(help="the prompt that is tried").tag(sync=True)
    shown = traitlets.Dict(help="old and new landscape").tag(sync=True)
    dots = traitlets.Dict(help="scores of all sites").tag(sync=True)
    busy = traitlets.Unicode(help="what is being done; empty = nothing").tag(sync=True)
    said = traitlets.Dict(help="the last line: text, and whether it is an error").tag(sync=True)
    run = traitlets.Dict(dict(_IDLE), help="how far a run is").tag(sync=True)

    def __init__(self, explorer: Explorer, base: Mapping[str, gpd.GeoDataFrame]) -> None:
        places = to_lonlat(explorer.study.sites).geometry
        plan = {
            "sites": explorer.sites,
            "lon": places.x.round(7).tolist(),
            "lat": places.y.round(7).tolist(),
            "base": base_of(base),
        }
        super().__init__(plan=plan, site=explorer.sites[0], against=explorer.scenarios[0])
        self.explorer = explorer
        self._drawn_prompt: str | None = None
        self._jobs: queue.SimpleQueue[tuple[str, Callable[[], None]]] = queue.SimpleQueue()
        self._newest = 0
        self._runner: threading.Thread | None = None
        self._refresh()
        self.on_msg(self._asked)
        self.observe(lambda _: self._show(), ["site", "against"])
        threading.Thread(target=self._work, name="soundit-explorer", daemon=True).start()
        self._show()

    def wait(self) -> None:
        """Wait until everything that was asked for is done, the run included."""
        if self._runner is not None:
            self._runner.join()
        idle = threading.Event()
        self._jobs.put(("", idle.set))
        idle.wait()

    # ------------------------------------------------------------ what is asked for
    def _asked(self, _widget: Any, message: dict[str, Any], _buffers: Any) -> None:
        """Take a request of the page."""
        ask, text = message.get("ask"), str(message.get("prompt", ""))
        if ask == "draw":
            self._draw(text)
        elif ask == "add":
            self._jobs.put(("Adding the scenario", lambda: self._add(str(message.get("name", "")), text)))
        elif ask == "run":
            self._run()
        elif ask == "cancel" and self.run["going"]:
            self.run = {**self.run, "ending": True}
            self.explorer.cancel()

    def _show(self) -> None:
        """Show the chosen site in the chosen scenario, and under the tried prompt where that is drawn."""
        self._newest += 1
        number, site, against = self._newest, self.site, self.against

        def job() -> None:
            if number != self._newest:
                return  # another site was chosen since
            old = self.explorer.landscape(site, against)
            tried = self._drawn_prompt
            new = None if tried is None else self.explorer.tried(site, tried)
            self._publish(side_by_side(old, new), against)

        self._jobs.put((f"Looking at {site}", job))

    def _draw(self, prompt: str) -> None:
        self._newest += 1
        number, site, against = self._newest, self.site, self.against

        def job() -> None:
            new = self.explorer.draw(site, prompt)
            self._drawn_prompt = self.prompt = prompt.strip()
            self.prompts = list(dict.fromkeys([*self.prompts, *([new.prompt] if new.prompt else [])]))
            if number == self._newest:
                self._publish(side_by_side(self.explorer.landscape(site, against), new), against)
            self._say(f"{site} is drawn: {new.prompt or 'the sound alone'}.")

        self._jobs.put((f"Drawing {site}", job))

    def _add(self, name: str, prompt: str) -> None:
        scenario = self.explorer.add(name, prompt)
        self._refresh()
        self._say(f"{scenario.name} is a scenario now. Run it for all sites.")

    def _run(self) -> None:
        if self._runner is None or not self._runner.is_alive():
            self.run = {**_IDLE, "going": True, "pending": self.run["pending"]}
            self._runner = threading.Thread(target=self._run_all, name="soundit-run", daemon=True)
            self._runner.start()

    def _run_all(self) -> None:
        """Run to the end or until cancelled."""
        try:
            finished = self.explorer.run(self._report)
            at = self.run
            self._say(
                f"All {at['total']} landscapes are done."
                if finished
                else f"Cancelled: {at['done']} of {at['total']} landscapes are kept; run again to go on."
            )
        except Exception as error:  # noqa: BLE001 - a thread has nobody else to tell
            self._fail(error)
        self.run = {**self.run, "going": False, "ending": False}
        self._jobs.put(("", self._refresh))
        self._show()

    def _report(self, at: Progress) -> None:
        foreign = f"{at.told()}; their scores carry no evidence." if at.foreign or at.foreign_photos else ""
        if self.run["ending"]:  # asked for before the run had begun
            self.explorer.cancel()
        self.run = {**self.run, "done": at.done, "total": at.total, "foreign": foreign}

    # ----------------------------------------------------------------- what is told
    def _work(self) -> None:
        """Do what is asked for, one thing after the other."""
        while True:
            self.busy, job = self._jobs.get()
            try:
                job()
            except Exception as error:  # noqa: BLE001 - a thread has nobody else to tell
                self._fail(error)
            self.busy = ""

    def _publish(self, shown: dict[str, Any], against: str) -> None:
        self.shown = {**shown, "against": against}
        if self.dots.get("scenario") != against:
            self.dots = dots(self.explorer.cube, against)

    def _refresh(self) -> None:
        """Tell what the study holds."""
        explorer = self.explorer
        self.scenarios = explorer.scenarios
        written = (one.prompt for one in explorer.study.scenarios if one.prompt and not one.column)
        self.prompts = list(dict.fromkeys([*written, *self.prompts]))
        self.run = {**self.run, "pending": explorer.pending}
        self.dots = dots(explorer.cube, self.against)

    def _say(self, text: str, *, error: bool = False) -> None:
        self.said = {"text": text, "error": error}

    def _fail(self, error: Exception) -> None:
        if isinstance(error, SounditError):
            self._say(" ".join(str(error).split()), error=True)
        else:
            log.error("The explorer failed.", exc_info=error)
            self._say(f"{type(error).__name__}: {' '.join(str(error).split())}", error=True)
