"""Train the rows of a paper's table on one's own videos and lay the paper's figures beside them."""

from explorer.reproduce.collect import Reproduced, RowResult
from explorer.reproduce.plan import Reproduction, known_tables, plan_reproduction
from explorer.reproduce.run import reproduce

__all__ = ["Reproduced", "Reproduction", "RowResult", "known_tables", "plan_reproduction", "reproduce"]
