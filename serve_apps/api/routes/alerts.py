"""Failed jobs for which a rule held, and quotas that are nearly used."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter

from serve_apps.api.context import ApiContext, Context
from serve_apps.api.period import Since, Until, period
from serve_apps.api.principal import Caller, Principal
from serve_apps.api.report_schemas import AlertList, AlertOut, QuotaAlert
from serve_apps.api.seen import SeenJobs
from thornback.jobs.alerts import find_alerts, history_needed
from thornback.spend.prices import Tariff
from thornback.spend.quotas import Holder, Level
from thornback.store.failures import read_failures
from thornback.store.quotas import QuotaReader

router = APIRouter(prefix="/api/v1/alerts", tags=["reports"])


async def _strained(context: ApiContext, caller: Principal) -> list[Level]:
    mine = [Holder("user", caller.user), *(Holder("team", team) for team in sorted(caller.teams))]
    reader = QuotaReader(context.reader.engine, Tariff.of(context.settings))
    now = datetime.now(UTC)
    found = await context.read(lambda _: reader.strained(mine, at=now, others=caller.is_admin))
    return sorted(found, key=lambda level: (not level.is_used_up, -level.used / max(level.limit, 1), str(level.holder)))


@router.get("", summary="Alerts")
async def list_alerts(context: Context, caller: Caller, since: Since = None, until: Until = None) -> AlertList:
    """Failures of the last 30 days that made a rule of the setting `alerts` hold, the newest first; and quotas.

    They follow from the failed jobs that are in the database and the rules as they are now. As they happen
    they are also in the log of the dispatcher and, as events of the kind `alert`, on the streams.

    The quotas are your own and your teams'; for admins also those of whoever has spent most this month.
    """
    rules = context.settings.alerts
    begin, end = period(since, until, now=datetime.now(UTC))
    history = await context.read(
        lambda store: read_failures(store.engine, since=begin - history_needed(rules), until=end)
    )
    alerts = [alert for alert in find_alerts(rules, history) if alert.at >= begin]
    seen = await SeenJobs(context, caller.sight).of({id for alert in alerts for id in (alert.job_id, *alert.job_ids)})
    return AlertList(
        rules=list(rules),
        quotas=[QuotaAlert.of(level) for level in await _strained(context, caller)],
        alerts=[
            AlertOut(
                rule=alert.rule,
                at=alert.at,
                job_id=alert.job_id,
                job_ids=[id for id in alert.job_ids if id in seen],
                message=alert.message,
            )
            for alert in reversed(alerts)
            if alert.job_id in seen
        ],
    )
