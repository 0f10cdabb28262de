"""Other people's lists to a manifest. One format a file; ``run`` finds the files, numbers the classes, makes splits."""

from __future__ import annotations

from collections.abc import Mapping

from trainables.kit.data.importers.activitynet import ActivityNet
from trainables.kit.data.importers.adamml import AdammlLists
from trainables.kit.data.importers.csv_lists import CsvLists
from trainables.kit.data.importers.entry import Importer
from trainables.kit.data.importers.folders import Folders
from trainables.kit.data.importers.json_rows import JsonRows

# In the order in which `auto` asks them whether they recognise a source.
IMPORTERS: Mapping[str, Importer] = {
    "folders": Folders(),
    "csv": CsvLists(),
    "activitynet": ActivityNet(),
    "jsonl": JsonRows(),
    "adamml": AdammlLists(),
}
