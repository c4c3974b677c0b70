"""The only reader of the environment.

Every setting is an environment variable `THORNBACK_<NAME>` (or a line in `$THORNBACK_HOME/thornback.env`).
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from thornback.errors import SettingsError
from thornback.secret_settings import SecretFiles, secret_fields

DEFAULT_HOME = Path("~/.thornback")
ENV_PREFIX = "THORNBACK_"
DEFAULT_FETCH_PORTS = (80, 443, 8080, 8443)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class AlertRule(BaseModel):
    """When failed jobs are worth an alert; what is left out concerns every job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    failures: Annotated[int, Field(ge=1, le=1000, description="So many …")] = 1
    within_minutes: Annotated[float, Field(gt=0, le=10_080, description="… within so long.")] = 60.0
    kind: str | None = None  # e.g. lora
    backend: str | None = None  # e.g. replicate
    reason: str | None = None  # a FailureReason, e.g. out_of_memory
    tags: dict[str, str] = {}  # all of them


class Quota(BaseModel):
    """How much a user or a team may have; what is left out is not limited."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    jobs: Annotated[int | None, Field(ge=0, le=10**9, description="At once, waiting or running.")] = None
    gpu_hours: Annotated[float | None, Field(ge=0, le=10**9, description="A month, on our own GPUs.")] = None
    storage_bytes: Annotated[int | None, Field(ge=0, le=2**62, description="Of files that jobs have made.")] = None
    usd_day: Annotated[float | None, Field(ge=0, le=10**9, description="US dollars a day, by UTC.")] = None
    usd_month: Annotated[float | None, Field(ge=0, le=10**9, description="US dollars a month, by UTC.")] = None


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class Settings(BaseSettings):
    """All settings with their defaults; the defaults serve one machine with nothing to set up."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True, populate_by_name=True)

    home: Annotated[AbsolutePath, Field(description="Database, runs and logs live here.")] = DEFAULT_HOME
    database_url: Annotated[
        str,
        Field(description="sqlite:///… or postgresql://…; empty: thornback.db in home."),
    ] = ""
    database_pool: Annotated[
        int, Field(ge=1, le=1000, description="Connections that each process keeps open to PostgreSQL or the file.")
    ] = 8
    database_overflow: Annotated[
        int,
        Field(ge=0, le=1000, description="And so many more while they are all in use; a web server has 40 threads."),
    ] = 32
    database_statement_s: Annotated[
        float, Field(ge=0, description="PostgreSQL gives up a statement of ours after so long; 0: never.")
    ] = 60.0
    database_lock_s: Annotated[
        float, Field(gt=0, description="A writer waits so long for another one before it says that it cannot write.")
    ] = 10.0
    storage: Annotated[str, Field(description="Runs and artifacts: a folder or s3://…; empty: runs in home.")] = ""
    dataset: Annotated[
        str | None, Field(description="What a job trains on whose config names no data: a path or s3://.")
    ] = None

    host: Annotated[str, Field(description="Where the API listens.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535, description="The port it listens on.")] = 8001
    public_url: Annotated[
        str | None, Field(description="How clients reach the API, where that is not what their request says.")
    ] = None
    url: Annotated[
        str | None, Field(description="Where the command line and the SDK find the API; empty: host and port.")
    ] = None
    links_secret: Annotated[
        str,
        Field(
            repr=False,
            description="Signs links to files of a storage in a folder, the same on all machines; empty: made once "
            "and kept in home.",
        ),
    ] = ""
    encryption_keys: Annotated[
        str,
        Field(
            repr=False,
            description="Encrypts the secrets of webhooks out, the same on all machines: 32 bytes in URL-safe base64, "
            "or several with commas, the newest first, while one is replaced; empty: made once and kept in home.",
        ),
    ] = ""
    access: Annotated[
        Literal["auto", "on", "off"],
        Field(
            description="on: everybody signs in or sends an API key; auto: on, unless the API listens on loopback "
            "only and has no public address; off: never, which other addresses than loopback refuse."
        ),
    ] = "auto"
    oidc_issuer: Annotated[
        str | None,
        Field(description="An OpenID provider where people sign in, e.g. https://accounts.google.com; empty: none."),
    ] = None
    oidc_client_id: Annotated[str | None, Field(description="What the provider calls this server.")] = None
    oidc_client_secret: Annotated[
        str | None, Field(repr=False, description="What the provider knows this server by; empty: PKCE alone.")
    ] = None
    oidc_name: Annotated[str | None, Field(description="What the page calls it; empty: its host.")] = None
    oidc_domains: Annotated[
        list[str],
        Field(
            description='Whose verified e-mail addresses sign in by themselves, e.g. ["example.org"]; others only '
            "where they have linked their account to a user."
        ),
    ] = []
    oidc_role: Annotated[
        Literal["viewer", "trainer", "admin"], Field(description="What those may who come for the first time.")
    ] = "viewer"
    shared_jobs: Annotated[
        bool, Field(description="Whether everybody who is signed in may look at jobs that have no team.")
    ] = True
    session_days: Annotated[float, Field(gt=0, le=365, description="How long a browser stays signed in.")] = 14.0
    allowed_origins: Annotated[
        list[str],
        Field(description='Other sites whose pages may call the API, e.g. ["https://app.example"].'),
    ] = []
    api_key: Annotated[str | None, Field(repr=False, description="What the command line and the SDK send: tbk_….")] = (
        None
    )
    max_streams: Annotated[int, Field(ge=1, description="Live clients per replica.")] = 2000
    max_streams_per_user: Annotated[
        int, Field(ge=1, description="Of them, how many may be of one user; counted where access is on.")
    ] = 1000

    ray_address: Annotated[
        str | None, Field(description="An existing cluster (`auto`, host:port, ray://); empty: start one here.")
    ] = None
    namespace: Annotated[str, Field(description="Ray namespace of our actors.")] = "thornback"
    dashboard_host: Annotated[str, Field(description="Where the dashboard of our own Ray listens.")] = "127.0.0.1"
    dashboard_port: Annotated[int, Field(ge=0, le=65_535, description="Its port, or the next that is free.")] = 8265
    cluster_limits: Annotated[
        dict[str, float],
        Field(description='What an autoscaling cluster can grow to, e.g. {"CPU": 64, "GPU": 8}.'),
    ] = {}

    metrics_shards: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="Metrics actors that share the jobs among them; more than one needs PostgreSQL. To change it, "
            "restart the platform.",
        ),
    ] = 1
    commit_rows: Annotated[int, Field(ge=1, description="Most events in one database transaction.")] = 2000
    buffer_events: Annotated[int, Field(ge=1, description="Events kept in memory for subscribers.")] = 20_000
    heartbeat_s: Annotated[float, Field(gt=0, le=5.0, description="Longest silence of a stream.")] = 4.0
    dispatch_interval_s: Annotated[float, Field(gt=0, description="Look at Ray at least this often.")] = 2.0
    elastic_patience_s: Annotated[
        float,
        Field(gt=0, description="Room has to be free for so long before an elastic job is interrupted to take it."),
    ] = 60.0
    cancel_grace_s: Annotated[
        float, Field(ge=0, description="A running job may end by itself for so long before it is stopped.")
    ] = 5.0
    max_running_jobs: Annotated[int, Field(ge=1, description="The rest waits in the queue.")] = 100
    max_pipelines: Annotated[
        int, Field(ge=1, description="Pipelines from videos at once, the rest waits; each driver takes about 150 MB.")
    ] = 32
    video_slots: Annotated[
        int, Field(ge=1, description="Of them, how many may fetch, analyse and store at once on a machine.")
    ] = 4
    face_model: Annotated[
        AbsolutePath | None,
        Field(description="A YuNet model (ONNX) that finds faces, for datasets that keep only frames with one."),
    ] = None
    captions_url: Annotated[
        str | None, Field(description="The endpoint that THORNBACK_CAPTIONS_KEY is for; no other is told it.")
    ] = None
    captions_key: Annotated[
        str | None,
        Field(
            repr=False,
            description="For the server of THORNBACK_CAPTIONS_URL; in thornback.env, or drivers will not have it.",
        ),
    ] = None
    replicate_api_token: Annotated[
        str | None,
        Field(
            repr=False,
            validation_alias=AliasChoices("THORNBACK_REPLICATE_API_TOKEN", "REPLICATE_API_TOKEN"),
            description="Turns the backend `replicate` on; REPLICATE_API_TOKEN is read too.",
        ),
    ] = None
    replicate_url: Annotated[str, Field(description="Where Replicate's API is.")] = "https://api.replicate.com"
    replicate_webhook_secrets: Annotated[
        str,
        Field(
            repr=False,
            description="whsec_…, or several with commas while one is replaced; empty: asked of Replicate.",
        ),
    ] = ""
    fal_key: Annotated[
        str | None,
        Field(
            repr=False,
            validation_alias=AliasChoices("THORNBACK_FAL_KEY", "FAL_KEY"),
            description="Turns the backend `fal` on; FAL_KEY is read too.",
        ),
    ] = None
    fal_url: Annotated[
        str | None, Field(description="Where fal's queue, storage and files are; empty: fal's own hosts.")
    ] = None
    fal_jwks_url: Annotated[str, Field(description="The keys that sign fal's webhooks.")] = (
        "https://rest.fal.ai/.well-known/jwks.json"
    )
    catalogue: Annotated[
        AbsolutePath | None,
        Field(description="A TOML file that adds to or replaces entries of the built-in list of trainers and models."),
    ] = None
    dataset_max_bytes: Annotated[
        int, Field(ge=1024, description="Greatest ZIP of pictures, uploaded or made for a provider; and all it holds.")
    ] = 2 << 30
    uploads: Annotated[
        AbsolutePath | None,
        Field(
            description="A folder for uploads that are not whole yet; empty: uploads in home. API replicas on several "
            "machines need one folder that all of them see, on a file system whose locks hold between machines."
        ),
    ] = None
    upload_keep_hours: Annotated[
        float, Field(gt=0, le=8760, description="An unfinished upload is removed so long after its last byte.")
    ] = 24.0
    upload_keep_days: Annotated[
        float,
        Field(
            gt=0,
            le=36_500,
            description="A whole upload goes with the last job that names it, or so long after it was sent where no "
            "unfinished job does.",
        ),
    ] = 30.0
    provider_slots: Annotated[
        dict[str, int], Field(description='Jobs at once at each provider, e.g. {"replicate": 4}; 10 where not named.')
    ] = {}
    provider_start_s: Annotated[
        float, Field(gt=0, description="An order that has not begun after so long is given up.")
    ] = 7200.0
    provider_run_s: Annotated[
        float, Field(gt=0, description="An order that has not ended so long after it began is given up.")
    ] = 86_400.0
    provider_settle_s: Annotated[
        float,
        Field(
            ge=0,
            description="An order whose answer was lost, and that its provider has not listed for so long, "
            "is sent again.",
        ),
    ] = 60.0
    webhook_tolerance_s: Annotated[float, Field(gt=0, description="Greatest age of a signed webhook.")] = 300.0
    webhook_max_bytes: Annotated[int, Field(ge=1024, description="Greatest body of a webhook.")] = 10_000_000
    webhook_keep_days: Annotated[
        float,
        Field(gt=0, description="Applied webhooks are kept for so long; dead letters until somebody deletes them."),
    ] = 30.0

    fetch_allow: Annotated[
        str,
        Field(
            description="Hosts and networks that addresses of users and providers may lead to though they are not "
            "public, with commas, e.g. minio.internal,10.1.0.0/16,127.0.0.1:8099."
        ),
    ] = ""
    fetch_buckets: Annotated[
        str,
        Field(
            description="Buckets that s3:// addresses of users may name, which are read with the platform's own "
            "credentials, with commas, e.g. films,scans-*; empty: any where nobody has to sign in, else none."
        ),
    ] = ""
    fetch_ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65_535)], ...],
        Field(description="The ports that such addresses may name; a host above is allowed all of its own."),
    ] = DEFAULT_FETCH_PORTS
    allow_local_paths: Annotated[
        bool | None,
        Field(
            description="Whether a video may be named by its path on the machine that works on it; empty: where the "
            "API listens on loopback alone."
        ),
    ] = None
    video_max_bytes: Annotated[int, Field(ge=1024, description="Greatest file of a video.")] = 20 << 30
    video_max_seconds: Annotated[float, Field(gt=0, description="Longest video.")] = 4 * 3600.0
    video_max_pixels: Annotated[
        int, Field(ge=1024, le=8192 * 8192, description="Greatest picture of a video: width by height.")
    ] = 8192 * 4320
    video_fetch_s: Annotated[float, Field(gt=0, description="A video that is not here after so long is given up.")] = (
        3600.0
    )
    media_cache: Annotated[
        AbsolutePath | None,
        Field(
            description="Videos and what was found in them, on each machine that works on such; empty: media in home."
        ),
    ] = None
    media_cache_max_bytes: Annotated[
        int, Field(ge=0, description="From here on what was not used for longest is deleted of them.")
    ] = 50 << 30
    node_cache: Annotated[
        AbsolutePath | None,
        Field(description="Copies of what trainings read from s3://, on each machine; empty: cache in home."),
    ] = None
    node_cache_max_bytes: Annotated[
        int, Field(ge=0, description="From here on what was not used for longest is deleted of them; 0: keep none.")
    ] = 50 << 30
    disk_floor_bytes: Annotated[
        int, Field(ge=0, description="So much of the disk is left free by videos, what is made of them, and copies.")
    ] = 2 << 30

    alerts: Annotated[
        list[AlertRule],
        Field(
            description="When failed jobs are worth an alert, a JSON list, e.g. "
            '[{"name": "prod", "tags": {"env": "prod"}}, {"name": "many", "failures": 3, "within_minutes": 60}].'
        ),
    ] = [AlertRule(name="three within the hour", failures=3)]
    prices: Annotated[
        dict[Literal["GPU", "CPU"], Dollars],
        Field(description='US dollars for an hour of our own machines, e.g. {"GPU": 2.5, "CPU": 0.04}; else nothing.'),
    ] = {}
    quota_user: Annotated[
        Quota, Field(description='What each user may have, e.g. {"jobs": 20, "gpu_hours": 200, "usd_month": 500}.')
    ] = Quota()
    quota_team: Annotated[Quota, Field(description="The same of each team, for all its members together.")] = Quota()
    quota_warn_share: Annotated[
        float, Field(gt=0, le=1, description="From this share of a quota on there is a warning.")
    ] = 0.8
    quota_overrun: Annotated[
        Literal["stop", "finish"],
        Field(
            description="What becomes of a run on our own machines that needs more than was set aside for it where a "
            "quota leaves no more: stop: it fails and can be retried; finish: it goes on."
        ),
    ] = "stop"
    reserve_margin: Annotated[
        float, Field(ge=1, le=10, description="What is paid by time is set aside so many times its estimate.")
    ] = 1.2
    reserve_hours: Annotated[
        float, Field(gt=0, le=10_000, description="Set aside for a job of our own of which no past run tells the time.")
    ] = 1.0
    reserve_usd: Annotated[Dollars, Field(description="Set aside for an order that the catalogue has no price of.")] = (
        10.0
    )
    rate_limit: Annotated[
        Literal["auto", "on", "off"], Field(description="auto: requests are counted where access control is on.")
    ] = "auto"
    rate_limits: Annotated[
        dict[Literal["reads", "creates", "uploads", "sign_in", "address"], str],
        Field(
            description="Requests of one key and, as address, of one address, over those that stand here: "
            '{"creates": "60/minute"}.'
        ),
    ] = {}
    rate_replicas: Annotated[
        int, Field(ge=1, description="API replicas that share these limits: each allows its part of them.")
    ] = 1
    trusted_proxies: Annotated[
        list[str], Field(description="Networks of proxies whose X-Forwarded-For is believed, e.g. 10.0.0.0/8.")
    ] = []
    notify_per_receiver: Annotated[
        int, Field(ge=1, le=64, description="Webhooks that may be on their way to one receiver at once.")
    ] = 4
    notify_at_once: Annotated[int, Field(ge=2, le=1000, description="And to all receivers together.")] = 64
    notify_progress_s: Annotated[
        float, Field(ge=0.1, description="Progress of a job is told to a webhook at most once in this time.")
    ] = 10.0
    notify_disable_days: Annotated[
        float, Field(gt=0, description="A webhook that has taken nothing for so long is disabled.")
    ] = 5.0
    notify_keep_days: Annotated[
        float, Field(gt=0, description="What was sent, and what was given up, is kept for so long.")
    ] = 30.0
    smtp_host: Annotated[str | None, Field(description="The mail server for webhooks to e-mail; empty: none.")] = None
    smtp_port: Annotated[int, Field(ge=1, le=65_535, description="Its port.")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"], Field(description="none: only for a server on this machine.")
    ] = "starttls"
    smtp_user: Annotated[str | None, Field(description="Who signs in there; empty: nobody has to.")] = None
    smtp_password: Annotated[str | None, Field(repr=False, description="Of that user.")] = None
    smtp_from: Annotated[str | None, Field(description="The sender, e.g. Thornback <train@example.org>.")] = None

    mlflow_tracking_uri: Annotated[
        str | None, Field(description="Runs are also written to this MLflow; empty: to none.")
    ] = None
    otlp_endpoint: Annotated[
        str | None,
        Field(description="Traces go there by OTLP over HTTP, e.g. http://127.0.0.1:4318; empty: nowhere."),
    ] = None
    traceparent: Annotated[
        str | None, Field(description="The trace that a job's driver belongs to; set by the platform, not by people.")
    ] = None
    log_format: Annotated[
        Literal["auto", "json", "text"],
        Field(
            description="json: each line of our processes, drivers and workers is a JSON object with job_id, attempt "
            "and trace_id; auto: our own are, except on a terminal, and jobs print as they like."
        ),
    ] = "auto"
    log_level: Annotated[str, Field(description="DEBUG, INFO, WARNING or ERROR.")] = "INFO"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, the environment, files that it names, `thornback.env`."""
        return init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings

    @model_validator(mode="after")
    def _fill(self) -> Self:
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite:///{self.home / 'thornback.db'}")
        if not self.storage:
            object.__setattr__(self, "storage", str(self.home / "runs"))
        elif "://" not in self.storage:
            object.__setattr__(self, "storage", str(Path(self.storage).expanduser().absolute()))
        if self.dataset is not None and "://" not in self.dataset:
            # other processes have another working folder
            object.__setattr__(self, "dataset", str(Path(self.dataset).expanduser().absolute()))
        return self

    @property
    def has_access_control(self) -> bool:
        """True where everybody has to say who they are."""
        if self.access != "auto":
            return self.access == "on"
        return not self.is_loopback or not (self.public_url is None or is_loopback(_host_of(self.public_url)))

    @property
    def openid_name(self) -> str | None:
        """What the page calls the OpenID provider, None where there is none."""
        if not self.has_access_control or self.oidc_issuer is None or self.oidc_client_id is None:
            return None
        return self.oidc_name or _host_of(self.oidc_issuer)

    @property
    def is_loopback(self) -> bool:
        """True where the API can be reached from this machine only."""
        return is_loopback(self.host)

    def check_shards(self) -> None:
        """Raises SettingsError where there are more writers than the database can have.

        A driver is not told of the database, so that this is for whoever writes to it.
        """
        if self.metrics_shards > 1 and self.database_url.startswith("sqlite"):
            problem = (
                "more than one needs PostgreSQL, since a SQLite file has one writer: set THORNBACK_DATABASE_URL to "
                "postgresql://…, or leave it at 1"
            )
            raise SettingsError.field(ENV_PREFIX + "METRICS_SHARDS", problem)

    def run_uri(self, job_id: str) -> str:
        """Where a job keeps its checkpoints and artifacts."""
        base, mark, query = self.storage.partition("?") if "://" in self.storage else (self.storage, "", "")
        return f"{base.rstrip('/')}/{job_id}{mark}{query}"

    def cache_uri(self, name: str) -> str:
        """Where runs keep what others can use as well."""
        base, mark, query = self.storage.partition("?") if "://" in self.storage else (self.storage, "", "")
        return f"{base.rstrip('/')}/caches/{name}{mark}{query}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values of settings that nobody may read: keys, tokens, and passwords within addresses."""
        values = [getattr(self, name) for name in secret_fields(type(self))]
        parts = [part for value in values if isinstance(value, str) for part in (value, *value.split(","))]
        addresses = (urlsplit(address) for address in (self.database_url, self.storage, self.dataset or ""))
        return tuple(dict.fromkeys(filter(None, (*parts, *(address.password for address in addresses)))))

    def environment(self) -> dict[str, str]:
        """The variables that give another process the same settings (for Ray's runtime_env)."""
        values: dict[str, str] = {}
        for name, value in self.model_dump(mode="json", exclude_none=True).items():
            values[ENV_PREFIX + name.upper()] = value if isinstance(value, str) else _json(value)
        return values


def is_loopback(host: str) -> bool:
    """True for a name or an address of this machine that no other machine reaches."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host_of(url: str) -> str:
    return urlsplit(url if "://" in url else f"//{url}").hostname or ""


def load_settings(**overrides: Any) -> Settings:
    """Read the environment and `$THORNBACK_HOME/thornback.env`; `overrides` win.

    Raises:
        SettingsError: names the variable and what is wrong with it.
    """
    try:
        first = Settings(**overrides)
        env_file = first.home / "thornback.env"
        return Settings(_env_file=env_file, **overrides) if env_file.is_file() else first
    except ValidationError as error:
        errors = [
            {"field": ENV_PREFIX + "_".join(str(part) for part in item["loc"]).upper(), "message": item["msg"]}
            for item in error.errors(include_url=False, include_input=False)
        ]
        text = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
        raise SettingsError(text, errors=errors) from None


def _json(value: Any) -> str:
    return json.dumps(value)
