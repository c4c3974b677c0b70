"""The Python SDK: the HTTP API as typed calls.

    from thornback.client import Client

    with Client("http://127.0.0.1:8001") as client:
        job = client.submit("My job", {"epochs": 3})
        for update in client.watch(job.id):
            print(update.job.status, update.job.progress_percent)

It knows HTTP only: neither Ray nor torch nor the database.
"""

from thornback.client.client import Client, JobTimeout
from thornback.client.download import DownloadCorrupt
from thornback.client.models import (
    Artifact,
    Comparison,
    Dataset,
    Delivery,
    DeliveryPage,
    Event,
    Health,
    ImageSet,
    Item,
    Job,
    JobDetail,
    JobPage,
    LogLines,
    MetricRow,
    Model,
    ModelVersion,
    Receipt,
    Update,
    Upload,
)
from thornback.client.problems import ServerUnreachable
from thornback.client.reconnect import Backoff
from thornback.client.sweeps import Sweep, SweepTrial

__all__ = [
    "Artifact",
    "Backoff",
    "Client",
    "Comparison",
    "Dataset",
    "Delivery",
    "DeliveryPage",
    "DownloadCorrupt",
    "Event",
    "Health",
    "ImageSet",
    "Item",
    "Job",
    "JobDetail",
    "JobPage",
    "JobTimeout",
    "LogLines",
    "MetricRow",
    "Model",
    "ModelVersion",
    "Receipt",
    "ServerUnreachable",
    "Sweep",
    "SweepTrial",
    "Update",
    "Upload",
]
