"""Videos to batches: manifest, splits, decoding, the cache, segments, augmentation.

Reading order: ``config`` (all settings), ``manifest`` and ``splits`` (which videos), ``decode`` and ``spectrogram`` (file
to arrays), ``cache`` and ``pack`` (arrays on disk), ``segments`` (which frames), ``assemble`` and ``dataset`` (batches).
``config``, ``manifest``, ``hashing``, ``splits``, ``segments`` and ``synthetic`` import no torch.
"""
