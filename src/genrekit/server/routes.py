"""The routes: parse, call the service, show. No logic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from genrekit.explain.document import ExplanationDocument
from genrekit.server import problems, schemas, uploads
from genrekit.server.problems import ProblemError

if TYPE_CHECKING:
    from genrekit.server.service import Service
    from genrekit.server.worker_queue import TaskOptions

JSON = "application/json"
_FILE = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "properties": {"file": {"type": "array", "items": _FILE, "minItems": 1}},
    "required": ["file"],
}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": _FORM},
        "application/octet-stream": {"schema": _FILE},
    },
}

Model = Annotated[str | None, Query(description="One of /v1/models; the default is the first.")]
MinPrecision = Annotated[
    float | None,
    Query(
        gt=0,
        le=1,
        description="Abstain below the probability that reached this precision in validation.",
    ),
]
Segments = Annotated[
    str | None,
    Query(
        pattern="^(all|[1-9][0-9]{0,2})$",
        description="Segments to analyse: all, or a number, spread evenly. The default is all up "
        "to 60 s or with a timeline, else 8.",
    ),
]
Include = Annotated[
    str, Query(description="What to add: spectrogram, timeline, or both with a comma.")
]
Genre = Annotated[
    str,
    Query(
        max_length=200,
        description="The genre whose evidence is checked; the default is the most probable.",
    ),
]
FileName = Annotated[
    str, Query(max_length=200, description="The file name of a body that is a single file.")
]
Prefer = Annotated[
    str | None,
    Header(description="respond-async makes the request a job, however short the audio."),
]


def _options(result: Any) -> dict[str, Any]:
    """Return the OpenAPI options of a route that takes files."""
    return {
        "responses": {
            200: {"model": result},
            202: {"model": schemas.JobDocument, "description": "A job at the URL in Location"},
            **problems.descriptions(400, 408, 413, 415, 422, 500, 503),
        },
        "openapi_extra": {"requestBody": _BODY},
        "response_class": Response,
    }


def service_routes(service: Service) -> APIRouter:
    """Return the routes under /v1, which require the key if there is one."""
    router = APIRouter(prefix="/v1")

    @router.post("/predict", **_options(schemas.PredictionResult | schemas.Results))
    async def predict(
        request: Request,
        model: Model = None,
        min_precision: MinPrecision = None,
        segments: Segments = None,
        include: Include = "",
        filename: FileName = uploads.RAW_NAME,
        prefer: Prefer = None,
    ) -> Response:
        """Predict the genre of one file, or of several ({"results": [...]})."""
        options = service.prediction_options(model, min_precision, segments, include)
        as_job = "respond-async" in (prefer or "")
        return await _process(service, request, options, filename, as_job=as_job)

    @router.post("/explain", **_options(ExplanationDocument | schemas.Results))
    async def explain(
        request: Request,
        genre: Genre = "",
        model: Model = None,
        filename: FileName = uploads.RAW_NAME,
    ) -> Response:
        """Show which seconds and frequencies of a file support a genre."""
        options = service.explanation_options(model, genre)
        return await _process(service, request, options, filename)

    @router.get(
        "/jobs/{job_id}",
        responses={200: {"model": schemas.JobDocument}, **problems.descriptions(404, 422)},
        response_class=Response,
    )
    async def job(job_id: str) -> Response:
        """Return the state of a job, with its result once it is done."""
        found = service.jobs.find(job_id)
        if found is None:
            raise ProblemError(404, "no job has this id, or it has expired; send the file again")
        return Response(found.to_json(), media_type=JSON)

    @router.get("/models")
    async def models() -> schemas.ModelList:
        """List the models of this server."""
        described = [schemas.ModelDocument.of(model.card) for model in service.models]
        return schemas.ModelList(models=described)

    return router


def state_routes(service: Service, registry: CollectorRegistry) -> APIRouter:
    """Return the routes for operators: health, readiness, metrics."""
    router = APIRouter()

    @router.get("/healthz")
    async def health() -> schemas.Health:
        """Show that the server is alive."""
        return schemas.Health(status="ok")

    @router.get("/readyz", responses=problems.descriptions(503))
    async def ready() -> schemas.Health:
        """Show whether a file would be accepted now."""
        if not service.is_ready:
            raise ProblemError(503, "no worker is ready, or all are busy", Retry_After="1")
        return schemas.Health(status="ok")

    @router.get(
        "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _process(
    service: Service, request: Request, options: TaskOptions, filename: str, *, as_job: bool = False
) -> Response:
    """Receive the files of a request; respond with their result, or the job that it became."""
    limits = service.settings.limits
    files = await uploads.receive(request, service.uploads, limits, filename)
    work = service.process(files, options, as_job=as_job)
    outcome = await uploads.while_connected(request, work)
    if isinstance(outcome, str):
        return Response(outcome.encode("utf-8", "backslashreplace"), media_type=JSON)
    location = f"{request.scope.get('root_path', '')}/v1/jobs/{outcome.job_id}"
    return Response(outcome.to_json(), 202, {"Location": location}, JSON)
