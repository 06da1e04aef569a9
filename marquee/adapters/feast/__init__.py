"""The door to Feast: profiles, plan and apply, materialise, push, one user's row, training rows, status.

Importing it imports Feast, which takes seconds: do so where it is used.
"""

import marquee.adapters.feast_import  # noqa: F401 - first: it imports Feast in a third of the time
from marquee.adapters.feast.declarations import Declarations, load_declarations
from marquee.adapters.feast.door import FeatureDoor
from marquee.adapters.feast.items import item_rows
from marquee.adapters.feast.materialise import MaterialiseReport
from marquee.adapters.feast.online import PushReport, UserRow
from marquee.adapters.feast.plan import Change, Plan
from marquee.adapters.feast.profile import Profile
from marquee.adapters.feast.status import ViewStatus

__all__ = [
    "Change",
    "Declarations",
    "FeatureDoor",
    "MaterialiseReport",
    "Plan",
    "Profile",
    "PushReport",
    "UserRow",
    "ViewStatus",
    "item_rows",
    "load_declarations",
]
