"""The pages in the order of the navigation: their titles, files and links."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PageLink:
    """One page: its title, its file below ``app``, the path of its link, and its icon.

    A page without an icon is not in the navigation; links to it name what it shows.
    """

    title: str
    file: str
    path: str
    icon: str | None = None


PAGES = (
    PageLink("Runs", "views/runs.py", "/", ":material/list:"),
    PageLink("New run", "views/new_run.py", "/new", ":material/add_circle:"),
    PageLink("Data", "views/data.py", "/data", ":material/photo_library:"),
    PageLink("Audit a model", "views/audit.py", "/audit", ":material/verified:"),
    PageLink("Compare", "views/compare.py", "/compare", ":material/compare_arrows:"),
    PageLink("Class fairness", "views/fairness.py", "/fairness", ":material/balance:"),
    PageLink("Trade-off", "views/tradeoff.py", "/tradeoff", ":material/scatter_plot:"),
    PageLink("Sample weights", "views/samples.py", "/samples", ":material/grain:"),
    PageLink("Studies", "views/studies.py", "/studies", ":material/science:"),
    PageLink("Theory", "views/theory.py", "/theory", ":material/functions:"),
    PageLink("System", "views/system.py", "/system", ":material/health_metrics:"),
    PageLink("Run", "views/run.py", "/run"),
)
