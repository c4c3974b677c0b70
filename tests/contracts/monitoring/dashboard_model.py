"""The part of Grafana's model of a dashboard (schema version 41) that ours may use; anything else is an error."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Place(_Strict):
    """In a grid of 24 columns."""

    x: Annotated[int, Field(ge=0, lt=24)]
    y: Annotated[int, Field(ge=0)]
    w: Annotated[int, Field(ge=1, le=24)]
    h: Annotated[int, Field(ge=1, le=40)]


class Source(_Strict):
    """Whom it asks: the variable, so that it works in every Grafana."""

    type: Literal["prometheus"]
    uid: Literal["${datasource}"]


class Target(_Strict):
    """A query."""

    refId: Annotated[str, Field(pattern="^[A-Z]$")]  # noqa: N815 - Grafana's
    datasource: Source
    editorMode: Literal["code"]  # noqa: N815
    range: bool
    expr: Annotated[str, Field(min_length=1)]
    legendFormat: Annotated[str, Field(min_length=1)]  # noqa: N815


class Step(_Strict):
    """From this value on it has this colour."""

    color: Literal["green", "orange", "red"]
    value: int | float | None


class Thresholds(_Strict):
    """The first holds from minus infinity."""

    mode: Literal["absolute"]
    steps: Annotated[list[Step], Field(min_length=1)]


class Mapping(_Strict):
    """Words for values."""

    type: Literal["value"]
    options: dict[str, dict[str, str | int]]


class Defaults(_Strict):
    """Of all series of a panel."""

    unit: Literal["none", "short", "s", "bytes", "cps", "percentunit", "currencyUSD"]
    min: int | float | None = None
    max: int | float | None = None
    thresholds: Thresholds | None = None
    mappings: list[Mapping] = []


class FieldConfig(_Strict):
    """How values look."""

    defaults: Defaults
    overrides: list[Any]


class Panel(_Strict):
    """One that shows something."""

    id: int
    type: Literal["timeseries", "stat"]
    title: Annotated[str, Field(min_length=1, max_length=60)]
    description: Annotated[str, Field(min_length=1)]
    datasource: Source
    gridPos: Place  # noqa: N815
    fieldConfig: FieldConfig  # noqa: N815
    targets: Annotated[list[Target], Field(min_length=1)]
    options: dict[str, Any]


class Row(_Strict):
    """A headline."""

    id: int
    type: Literal["row"]
    title: Annotated[str, Field(min_length=1, max_length=60)]
    collapsed: bool
    gridPos: Place  # noqa: N815
    panels: Annotated[list[Any], Field(max_length=0)]


class Variable(_Strict):
    """The choice of a Prometheus."""

    name: Literal["datasource"]
    type: Literal["datasource"]
    label: str
    query: Literal["prometheus"]
    hide: Literal[0]
    includeAll: bool  # noqa: N815
    multi: bool
    options: list[Any]
    refresh: Literal[1]
    regex: str
    skipUrlSync: bool  # noqa: N815


class Templating(_Strict):
    """The variables."""

    list: list[Variable]


class Time(_Strict):
    """What it shows first."""

    from_: Annotated[str, Field(alias="from", pattern="^now-")]
    to: Literal["now"]


class Annotations(_Strict):
    """None."""

    list: list[Any]


class Dashboard(_Strict):
    """As Grafana imports it."""

    uid: Annotated[str, Field(min_length=8, max_length=40)]
    title: str
    description: str
    tags: list[str]
    schemaVersion: Literal[41]  # noqa: N815
    version: int
    editable: bool
    graphTooltip: Literal[0, 1, 2]  # noqa: N815
    fiscalYearStartMonth: int  # noqa: N815
    liveNow: bool  # noqa: N815
    timezone: Literal["browser", "utc"]
    refresh: str
    time: Time
    timepicker: dict[str, Any]
    annotations: Annotations
    links: list[Any]
    templating: Templating
    panels: list[Panel | Row]
