"""Batch jobs: one function over any number of files, each done once, whatever is killed meanwhile.

``processing`` is the loop of every job: a record lists what is pending and keeps the results, and
an engine does the work. ``job`` keeps the results as the parts of a table, ``rendering`` as images,
``genrekit.library.scan`` in a database.
"""
