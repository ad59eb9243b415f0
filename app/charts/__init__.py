"""Charts, one a file: data in, Plotly figure out."""
