"""Write the table of methods into docs/methods.md, from what each method says of itself.

python docs/write_methods.py
"""

from pathlib import Path

from engine.methods.base import METHODS

PAGE = Path(__file__).parent / "methods.md"
BEGIN, END = "<!-- written from the methods -->\n", "<!-- end of the methods -->"


def with_table(page: str) -> str:
    """Return the page with today's table in the place of the earlier one."""
    rows = [
        f"| `{config.model_fields['name'].default}` | {config.paper} | {config.assigns} |"
        for config in METHODS
    ]
    table = "\n".join(["| name | paper | assignment |", "|---|---|---|", *rows, ""])
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
