"""Every file of a manifest decoded once, before a sweep depends on it. Imports no torch.

Reading order: ``reasons`` (why a file is bad), ``facts`` (what is known of one), ``probe`` (measure one; with ``boxes`` and
``second``), ``worker`` and ``pool`` (in processes that may die), ``records`` (kept beside the manifest), ``run``.
"""
