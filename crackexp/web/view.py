"""The page of one tab: what it shows of its session, and what its controls do."""

import asyncio
from pathlib import Path
from typing import Any

from nicegui import background_tasks, ui
from nicegui.element import Element
from nicegui.events import GenericEventArguments

from crackexp import __version__
from crackexp.data.classes.decisions import CRACK, SOUND, UNSURE
from crackexp.data.files.listing import IMAGE_SUFFIXES
from crackexp.data.images.pixels import FORMATS
from crackexp.reporting.formatting import counted
from crackexp.surveying.overlay import OPACITY
from crackexp.web.session import Limits, Photo, Session, apply_thresholds

FILES = Path(__file__).parent
ZOOM = FILES.parent / "reporting" / "zoom.js"
STEP = 0.02
"""The least growth of the share of a photo that is done which the page is told."""
NAME = '<template v-for="part in props.row.KEY.split(/(?<=[/_-])/)">{{ part }}<wbr></template>'
"""The name of a file in the column KEY. A long one breaks behind a slash, an underscore or a dash."""
ROW = """
<q-tr :props="props" :class="{ shown: props.row.shown }" tabindex="0" @click="$parent.$emit('choose', props.row.number)"
  @keyup.enter="$parent.$emit('choose', props.row.number)">
  <q-td class="pictures"><span>
    <img :src="props.row.thumbnail" alt="">
    <img v-if="props.row.heat" :src="props.row.heat" class="heat" alt="">
  </span></q-td>
  <q-td><div class="name">NAME</div>
    <div class="facts"><b :class="props.row.decision">{{ props.row.decision }}</b> · {{ props.row.facts }}</div></q-td>
</q-tr>
""".replace("NAME", NAME.replace("KEY", "name"))


class Drop(Element, component="drop.js"):
    """An area that photos and folders are dropped on; each photo is posted to `url`.

    Args:
        url: The address that takes the photos of the tab.
        limits: The limits of what is taken.
    """

    def __init__(self, url: str, limits: Limits) -> None:
        super().__init__()
        self._props.update(
            url=url, suffixes=sorted(IMAGE_SUFFIXES), megabytes=limits.megabytes, room=limits.photos, share=0
        )

    def tell(self, **props: float) -> None:
        """Sets `room`, the number of photos that can be taken, or `share`, what is done of the current photo."""
        self._props.update(props)


class Slider(ui.slider):
    """A slider that follows the hand at once. NiceGUI's own obeys the echo of the server, which undoes later moves."""

    LOOPBACK = False


def facts(photo: Photo) -> str:
    """Returns the facts behind the verdict on a photo in one line, with what is in doubt about the photo."""
    return f"{_founded(photo.verdict)} · in doubt: {photo.doubt}" if photo.doubt else _founded(photo.verdict)


def _founded(verdict: dict[str, Any]) -> str:
    if verdict["tiles"] == 1:
        return f"probability {verdict['highest_probability']:.2f}, judged as one patch"
    if verdict["decision"] in (SOUND, UNSURE):
        return f"highest probability {verdict['highest_probability']:.2f}"
    extent = f"{verdict['longest_extent_px']:,} px"
    if "longest_extent_mm" in verdict:
        extent += f" ({verdict['longest_extent_mm']:,.0f} mm)"
    return f"{verdict['cracked_share']:.1%} marked · {counted(verdict['regions'], 'region')} · longest {extent}"


class TabPage:
    """The page of a tab, which shows its session.

    Args:
        session: The session of the tab.
        tab: The address below which the pictures and tables of the tab lie.
        limits: The limits of what is taken.
        how: The model and the tiles, in a line.
        where: What becomes of the photos, in a line.
        cell: The side of a cell of a heat map in pixels of a photo.
    """

    def __init__(self, session: Session, tab: str, limits: Limits, how: str, where: str, cell: float) -> None:
        self._session, self._tab, self._cell = session, tab, cell
        self._usual = session.thresholds.crack
        self._range = min(0.01, self._usual), max(0.99, self._usual)
        self._chosen: int | None = None
        self._shown: int | None = None
        self._judging = False
        session.on_change, session.on_progress = self._change, self._tell
        ui.colors(primary="#0072b2")
        ui.add_css(FILES / "page.css")
        ui.add_head_html(f"<script>{ZOOM.read_text()}</script>")
        with ui.element("main") as self._main:
            self._title = ui.label().classes("title").props("role=heading aria-level=1")
            ui.label(f"{how}; crackexp {__version__}").classes("note")
            ui.label(f"{where} Closing or reloading this page drops them; it takes {limits.photos} at once.").classes(
                "note"
            )
            with ui.element("div").classes("board"):
                with ui.element("section").classes("side"):
                    with Drop(f"{tab}/photos", limits) as self._drop:
                        ui.label("Drop photos or a folder here").classes("invitation")
                        ui.label(
                            f"{FORMATS}, up to {limits.megabytes:g} MB and {limits.megapixels:g} megapixels each"
                        ).classes("note hint")
                    self._draw_list()
                with ui.element("section").classes("show filled"):
                    self._draw_controls()
                    self._draw_stage()
        self._drop.on("refused", lambda event: session.leave_out(*map(str, event.args)))
        self._drop.on("stop", self._stop)
        self._draw()

    def _draw_list(self) -> None:
        columns = [{"name": "photo", "label": "Photo", "field": "name"}]
        self._list = ui.table(rows=[], columns=columns, row_key="number").classes("photos filled")
        self._list.props("flat hide-header hide-bottom")
        self._list.add_slot("body", ROW)
        self._list.on("choose", self._choose)
        columns = [{"name": name, "label": name, "field": name, "align": "left"} for name in ("file", "reason")]
        self._unread = ui.table(rows=[], columns=columns, title="Not read").classes("unread")
        self._unread.props("flat hide-bottom wrap-cells dense")
        self._unread.add_slot("body-cell-file", f'<q-td :props="props">{NAME.replace("KEY", "file")}</q-td>')

    def _draw_controls(self) -> None:
        with ui.element("div").classes("controls"):
            with ui.element("div").classes("control"):
                self._threshold = ui.label()
                low, high = self._range
                self._slider = Slider(min=low, max=high, step=0.01, value=self._usual, on_change=self._move)
                self._slider.props('aria-label="Threshold"')
            ui.button("Reset", on_click=lambda: self._slider.set_value(self._usual)).props("flat dense no-caps")
            with ui.element("div").classes("control"):
                ui.label("Marks")
                marks = Slider(min=0, max=1, step=0.01, value=OPACITY).props('aria-label="Opacity of the marks"')
                marks.on("update:model-value", js_handler="value => document.body.style.setProperty('--marks', value)")
            with ui.element("div").classes("end"):
                for name, file in (("Photos", "photos.csv"), ("Tiles", "tiles.csv")):
                    link = ui.button(f"{name} CSV").props("outline dense no-caps icon=download")
                    link.props(f'href="{self._tab}/{file}" download="{file}"')
                ui.button("Clear", on_click=self._clear).props("outline dense no-caps icon=delete")

    def _draw_stage(self) -> None:
        defect = self._session.thresholds.defect
        size = "the crack's width or depth" if defect == CRACK else "its outline or depth"
        with ui.element("div").classes("verdict"):
            self._name = ui.label().classes("name")
            self._decision = ui.label()
            self._facts = ui.label().classes("facts")
        with (
            ui.element("div").classes("stage") as self._stage,
            ui.element("svg").props('preserveAspectRatio="xMidYMid meet" role="img"') as self._svg,
            ui.element("svg") as self._frame,
        ):
            self._picture = ui.element("image")
            self._heat = ui.element("image").classes("heat").props('preserveAspectRatio="none"')
            self._path = ui.element("path").props('fill-rule="evenodd"')
        ui.label(
            "Wheel or double click to zoom, drag to move. What is marked is where tiles that were classified as "
            f"{defect.adjective} lie. It is wider than the {defect}, and says nothing of {size}."
        ).classes("note")
        ui.run_javascript(f"window.stage = zoomable(getHtmlElement({self._stage.id}))")

    def _draw(self) -> None:
        """Updates what may have changed."""
        session = self._session
        ranked = sorted(session.photos.items(), key=lambda item: item[1].severity, reverse=True)
        defect = session.thresholds.defect
        cracked = sum(photo.verdict["decision"] == defect for _, photo in ranked)
        verb = "photo shows" if len(ranked) == 1 else "photos show"
        self._title.text = (
            f"{cracked} of {len(ranked)} {verb} {defect.plural}"
            if ranked
            else f"{defect.plural.capitalize()} in photos"
        )
        self._main.classes(replace="" if ranked else "empty")
        self._drop.tell(room=session.room, share=0)
        self._threshold.text = f"Threshold {session.thresholds.crack:.2f}"
        if self._chosen not in session.photos:
            self._chosen = None
        number = self._chosen or next((number for number, _ in ranked), None)
        self._list.rows = [self._row(each, photo, each == number) for each, photo in ranked]
        self._unread.rows = [{"file": one.file, "reason": one.reason} for one in session.unread]
        self._unread.set_visibility(bool(session.unread))
        if number is not None:
            self._show(number, session.photos[number])

    def _row(self, number: int, photo: Photo, shown: bool) -> dict[str, Any]:
        return {
            "number": number,
            "name": photo.name,
            "decision": photo.verdict["decision"],
            "facts": facts(photo),
            "thumbnail": f"{self._tab}/photos/{number}/thumbnail.jpg",
            "heat": None if photo.is_patch else f"{self._tab}/photos/{number}/heat.png",
            "shown": shown,
        }

    def _show(self, number: int, photo: Photo) -> None:
        decision = photo.verdict["decision"]
        self._decision.classes(replace=decision)
        self._decision.text, self._facts.text = decision, facts(photo)
        self._path.props["d"] = photo.outlines
        if number == self._shown:
            return
        self._shown = number
        self._name.text = photo.name
        self._svg.props["viewBox"] = f"0 0 {photo.verdict['width']} {photo.verdict['height']}"
        self._svg.props["aria-label"] = photo.name
        size = {"width": photo.verdict["width"], "height": photo.verdict["height"]}
        rows, columns = photo.result.heat.shape
        heat_size = {"width": columns * self._cell, "height": rows * self._cell}
        self._frame.props.update(size)
        self._picture.props.update(size, href=f"{self._tab}/photos/{number}/picture.jpg")
        self._heat.props.update(heat_size, href=f"{self._tab}/photos/{number}/heat.png")
        self._heat.set_visibility(not photo.is_patch)
        self._svg.client.run_javascript("window.stage?.fit()")

    def _choose(self, event: GenericEventArguments) -> None:
        self._chosen = int(event.args)
        self._draw()

    def _move(self) -> None:
        self._chosen = self._shown
        low, high = self._range
        self._session.move(min(high, max(low, float(self._slider.value))))  # a browser may say anything, NaN too
        self._change()

    def _change(self) -> None:
        self._draw()
        if not self._judging and self._session.stale(None):
            self._judging = True
            background_tasks.create(self._judge(), name="judging at a new threshold")

    async def _judge(self) -> None:
        """Applies the threshold of the session to all photos, the shown one first."""
        try:
            while stale := self._session.stale(self._shown):
                self._session.judged(await asyncio.to_thread(apply_thresholds, stale, self._session.thresholds))
        finally:
            self._judging = False

    def _tell(self, share: float) -> None:
        if share - self._drop.props["share"] >= STEP:
            self._drop.tell(share=share)

    def _stop(self) -> None:
        self._session.stop()
        self._drop.run_method("halt")

    def _clear(self) -> None:
        self._drop.run_method("halt")
        self._session.clear()
