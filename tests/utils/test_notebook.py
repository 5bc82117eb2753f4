"""The line in the output of a notebook's cell: shown once, then replaced, then gone."""

from IPython.core.displaypub import CapturingDisplayPublisher

from crackexp.utils.notebook import CellLine, cell_line


def test_the_line_of_a_cell_is_one_output_that_ends_empty() -> None:
    publisher = CapturingDisplayPublisher()
    line = CellLine(publisher)
    line.hide()
    assert publisher.outputs == []
    line.show("Reading <all>")
    line.show("Reading <all>")
    line.show("Training", 0.25)
    line.hide()
    first, second, last = publisher.outputs
    assert [output["update"] for output in publisher.outputs] == [False, True, True]
    assert len({output["transient"]["display_id"] for output in publisher.outputs}) == 1
    assert first["data"] == {"text/plain": "Reading <all>", "text/html": "Reading &lt;all&gt;"}
    assert second["data"]["text/plain"] == "Training"
    assert 'value="0.250"' in second["data"]["text/html"]
    assert not any(last["data"].values())


def test_there_is_no_such_line_outside_of_a_notebook() -> None:
    assert cell_line() is None
