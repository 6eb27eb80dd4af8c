"""Doors for being listed: health, directory, enrolments, declarations, the catalogue."""

from fastapi import APIRouter, Request, Response

from dure.hub.actions import catalogue, directory, enrolments
from dure.hub.actions.enrolments import EnrolmentRequest
from dure.hub.api.door import answer, body_of, done, hub_of, person_of, takes
from dure.market.catalogue import Listing
from dure.wire.codec import Moment, message
from dure.wire.envelope import Envelope

router = APIRouter()


@message
class Health:
    """The hub answers, and what time it is there."""

    status: str
    now: Moment


@router.get("/health")
async def health(request: Request) -> Response:
    """The hub serves, and its database answers."""
    hub = hub_of(request)
    await hub.read(lambda work: None)
    return answer(Health(status="ok", now=hub.clock()))


@router.get("/directory")
async def get_directory(request: Request) -> Response:
    """The sealed directory."""
    return answer(await hub_of(request).read(directory.current_envelope))


@router.put("/directory", openapi_extra=takes("a sealed Directory"))
async def put_directory(request: Request) -> Response:
    """A newer directory, by the root's signature."""
    hub = hub_of(request)
    envelope = await body_of(request, Envelope)
    await hub.write(directory.put_directory, envelope, root_key=hub.settings.root_key, now=hub.clock())
    return done()


@router.get("/enrolments")
async def get_enrolments(request: Request) -> Response:
    """The sealed enrolments that wait for the root."""
    await person_of(request)
    return answer(await hub_of(request).read(enrolments.pending), tuple[Envelope, ...])


@router.post("/enrolments", openapi_extra=takes("a code and a sealed Enrolment"))
async def post_enrolment(request: Request) -> Response:
    """A hospital asks to be listed."""
    hub = hub_of(request)
    asked = await body_of(request, EnrolmentRequest)
    enrolment = enrolments.verify_enrolment(asked.enrolment)
    await hub.write(enrolments.enrol, asked, enrolment, now=hub.clock())
    return Response(status_code=202)


@router.post("/declarations", openapi_extra=takes("a sealed DatasetDeclaration"))
async def post_declaration(request: Request) -> Response:
    """A board declares its dataset."""
    hub = hub_of(request)
    envelope = await body_of(request, Envelope)
    await hub.write(catalogue.declare, envelope, now=hub.clock())
    return done()


@router.get("/hospitals")
async def get_hospitals(request: Request) -> Response:
    """The catalogue."""
    await person_of(request)
    hub = hub_of(request)
    return answer(await hub.read(catalogue.hospitals, now=hub.clock()), tuple[Listing, ...])
