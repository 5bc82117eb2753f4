"""The report of the calibration of a model for a site."""

from crackexp.evaluation.doubts import doubts_section
from crackexp.evaluation.site import Site
from crackexp.reporting import Column, Report, Section, Table


def site_report(site: Site, dataset: str) -> Report:
    """Returns the report, with the thresholds, the calibration and the scores before and after.

    Args:
        site: The calibration for the site.
        dataset: The name of the dataset with the images of the site.
    """
    calibration, after = site.fitted.calibration, site.fitted.thresholds
    sign = "-" if calibration.shift < 0 else "+"
    rows = [
        ("log-odds", "z", f"{calibration.scale:.3g} z {sign} {abs(calibration.shift):.3g}"),
        ("decision", str(site.before), str(after)),
        *((name.replace("_", " "), f"{a:.3f}", f"{b:.3f}") for name, (a, b) in site.scores.items()),
    ]
    names, before, fitted = zip(*rows, strict=True)
    table = Table([Column("", names), Column("before", before), Column("after", fitted)])
    title = f"Fitted to {site.images:,} images of {dataset}, {site.cracked:,} cracked"
    how = "photo by photo" if site.by_photo else "image by image"
    note = f"After is cross-validated, {how}: no image is evaluated by a fit to itself."
    return Report(title, [*doubts_section(site.doubts, ["markdown"]), Section(title, [note], [table])])
