"""All settings; the only reader of the environment.

Every setting is an environment variable `THORNBACK_<NAME>` (or a line in `$THORNBACK_HOME/thornback.env`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from thornback.errors import SettingsError
from thornback.secret_settings import SecretFiles, secret_fields
from thornback.settings.cluster import Cluster
from thornback.settings.files import Files
from thornback.settings.money import Spending
from thornback.settings.notices import Notices
from thornback.settings.providers import Providers
from thornback.settings.server import Server
from thornback.settings.values import AbsolutePath, host_of, is_loopback

DEFAULT_HOME = Path("~/.thornback")
ENV_PREFIX = "THORNBACK_"


class Settings(Cluster, Files, Providers, Notices, Spending, Server):
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
        return not self.is_loopback or not (self.public_url is None or is_loopback(host_of(self.public_url)))

    @property
    def openid_name(self) -> str | None:
        """What the page calls the OpenID provider, None where there is none."""
        if not self.has_access_control or self.oidc_issuer is None or self.oidc_client_id is None:
            return None
        return self.oidc_name or host_of(self.oidc_issuer)

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
