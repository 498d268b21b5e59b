"""One HTML page of the results, LaTeX tables and PDF figures beside it: `make report`."""
