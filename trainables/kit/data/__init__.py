"""Videos to batches: manifest, splits, decoding, the cache, segments, augmentation.

Reading order: ``config`` (all settings), ``manifest`` and ``splits`` (which videos), ``decode``, ``spectrogram``
and ``flow`` (file to arrays), ``cache`` and ``pack`` (arrays on disk), ``segments`` (which frames), ``modalities`` (what a
network gets of them), ``assemble`` and ``dataset`` (batches). Beside them ``importers`` (other people's lists to a manifest),
``check`` (which files are broken), ``cards`` and ``classes`` (what is known of published data sets). ``config``,
``modalities``, ``manifest``, ``hashing``, ``splits``, ``segments``, ``draws`` and ``synthetic`` import no torch.
"""
