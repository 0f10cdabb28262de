"""Videos to batches: manifest, splits, decoding, the cache, segments, augmentation.

Reading order: ``config`` (all settings), ``manifest`` and ``splits`` (which videos), ``decode``, ``spectrogram``
and ``flow`` (file to arrays), ``cache`` and ``pack`` (arrays on disk), ``segments`` (which frames), ``modalities`` (what a
network gets of them), ``assemble`` and ``dataset`` (batches). ``config``, ``modalities``, ``manifest``, ``hashing``,
``splits``, ``segments``, ``draws`` and ``synthetic`` import no torch.
"""
