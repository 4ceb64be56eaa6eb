"""The routes: parse, call the service, show. No logic."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from genrekit.models.registry import ModelFolder
from genrekit.server import problems, schemas, uploads
from genrekit.server.jobs import Job
from genrekit.server.problems import ProblemError
from genrekit.server.prometheus import Figures
from genrekit.server.service import Order, Service

JSON = "application/json"
_FILE = {"type": "string", "format": "binary"}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"file": {"type": "array", "items": _FILE, "minItems": 1}},
                "required": ["file"],
            }
        },
        "application/octet-stream": {"schema": _FILE},
    },
}

Model = Annotated[str | None, Query(description="One of /v1/models; else the first of them.")]
MinPrecision = Annotated[
    float | None,
    Query(gt=0, le=1, description="Answer only where this share of answers was right."),
]
Segments = Annotated[
    str | None,
    Query(
        pattern="^(all|[1-9][0-9]{0,2})$",
        description="Segments heard of a file: all, or a number spread evenly. Without: all up to "
        "60 s or with a timeline, else 8.",
    ),
]
Include = Annotated[
    str, Query(description="spectrogram, timeline or both with a comma: what to add.")
]
Genre = Annotated[
    str, Query(max_length=200, description="Whose evidence is checked; else the most probable.")
]
FileName = Annotated[
    str, Query(max_length=200, description="What a body that is one file is called.")
]
Prefer = Annotated[
    str | None, Header(description="respond-async makes a job of it, however short it is.")
]


def problem_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of the problems that a route may answer with."""
    return {
        status: {
            "description": problems.document(status, "")["title"],
            "content": {problems.MEDIA_TYPE: {"schema": _reference(schemas.ProblemDocument)}},
        }
        for status in statuses
    }


def hearing_answers(answer: Any) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI descriptions of what a route that hears files may answer with."""
    return {
        200: {"model": answer},
        202: {"model": schemas.JobAnswer, "description": "A job; Location says where"},
        **problem_answers(400, 408, 413, 415, 422, 500, 503),
    }


def _reference(model: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def hearing_routes(service: Service) -> APIRouter:
    """Return the routes under /v1: they ask for the key where there is one."""
    router = APIRouter(prefix="/v1")

    @router.post(
        "/predict",
        responses=hearing_answers(schemas.PredictionAnswer | schemas.Results),
        openapi_extra={"requestBody": _BODY},
        response_class=Response,
    )
    async def predict(
        request: Request,
        model: Model = None,
        min_precision: MinPrecision = None,
        segments: Segments = None,
        include: Include = "",
        filename: FileName = uploads.RAW_NAME,
        prefer: Prefer = None,
    ) -> Response:
        """Say the genre of one file (its prediction) or of several ({"results": [...]})."""
        order = service.order(model, min_precision, segments, include)
        return await _heard(service, request, order, filename, "respond-async" in (prefer or ""))

    @router.post(
        "/explain",
        responses=hearing_answers(schemas.ExplanationAnswer | schemas.Results),
        openapi_extra={"requestBody": _BODY},
        response_class=Response,
    )
    async def explain(
        request: Request,
        genre: Genre = "",
        model: Model = None,
        filename: FileName = uploads.RAW_NAME,
    ) -> Response:
        """Say which seconds and which frequencies of a file speak for a genre."""
        order = service.explanation_order(model, genre)
        return await _heard(service, request, order, filename)

    @router.get(
        "/jobs/{job_id}",
        responses={200: {"model": schemas.JobAnswer}, **problem_answers(404, 422)},
        response_class=Response,
    )
    async def job(job_id: str) -> Response:
        """Say how far a job is; its answer is in it once it is done."""
        found = service.jobs.find(job_id)
        if found is None:
            raise ProblemError(404, "no job has this id, or it was forgotten; send the file again")
        return Response(_told(found), media_type=JSON)

    @router.get("/models", responses={200: {"model": schemas.ModelList}})
    async def models() -> schemas.ModelList:
        """List the models that this server answers with."""
        return schemas.ModelList(models=[_described(model) for model in service.models])

    return router


def state_routes(service: Service, figures: Figures) -> APIRouter:
    """Return the routes for whoever runs the server: health, readiness, figures."""
    router = APIRouter()

    @router.get("/healthz")
    async def health() -> schemas.Health:
        """Say that the server lives."""
        return schemas.Health(status="ok")

    @router.get("/readyz", responses=problem_answers(503))
    async def ready() -> schemas.Health:
        """Say whether a file would be taken now."""
        if not service.is_ready:
            raise ProblemError(503, "no worker is ready, or all are busy", Retry_After="1")
        return schemas.Health(status="ok")

    @router.get(
        "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}
    )
    async def metrics() -> Response:
        """Give the figures in Prometheus' text format."""
        return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _heard(
    service: Service, request: Request, order: Order, filename: str, later: bool = False
) -> Response:
    """Take in the files of a request, hear them and show the answer, or the job that it became."""
    files = await uploads.receive(request, service.spool, service.settings.limits, filename)
    hearing = service.hear(files, order, later)
    return _shown(request, await uploads.while_there(request, hearing))


def _shown(request: Request, outcome: str | Job) -> Response:
    if isinstance(outcome, str):
        return Response(outcome.encode("utf-8", "backslashreplace"), media_type=JSON)
    place = f"{request.scope.get('root_path', '')}/v1/jobs/{outcome.job_id}"
    return Response(_told(outcome), 202, {"Location": place}, JSON)


def _told(job: Job) -> str:
    """Return a job's JSON; its answer is JSON already."""
    if not job.is_done:
        return json.dumps({"id": job.job_id, "status": "running"})
    status, answer = job.task.result()
    word, key = ("done", "result") if status == 200 else ("failed", "problem")
    return f'{{"id": "{job.job_id}", "status": "{word}", "{key}": {answer}}}'


def _described(model: ModelFolder) -> schemas.ModelAnswer:
    card = model.card
    return schemas.ModelAnswer(
        name=card.name,
        version=card.version,
        description=card.description,
        labels=list(card.labels),
        sha256=card.onnx_sha256,
        license=card.license,
        metrics=list(card.metrics),
        max_precision=max((point.precision for point in card.precision_curve), default=None),
        unfit_for=list(card.unfit_for),
    )
