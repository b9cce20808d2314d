"""Trial enforcement: slices, virtual network functions, flight plans, measurement jobs. Nothing is done."""

from aiohttp import web

from dummies.partners.callbacks import Callbacks
from dummies.partners.refusals import members, unprocessable


def enforcement(callbacks: Callbacks) -> web.RouteTableDef:
    """Return the routes of a new enforcement service."""
    slices: set[str] = set()
    jobs: set[str] = set()
    routes = web.RouteTableDef()

    @routes.post("/sliceDeployment")
    async def deploy_slice(request: web.Request) -> web.Response:
        wanted = await members(request, "trialID", "NST", "facility", "Authorization")
        trial = str(wanted["trialID"])
        if trial in slices:
            return web.json_response({"detail": f"{trial} has a slice"}, status=409)
        callbacks.promise(request, str(wanted["Authorization"]))
        slices.add(trial)
        made = {"id": f"slice-{trial}", "facility": wanted["facility"], "state": "ACTIVE"}
        return web.json_response({"Slice": made}, status=201)

    @routes.delete("/sliceDeployment/{trial:[^/]+}")
    async def close_slice(request: web.Request) -> web.Response:
        wanted = await members(request, "Authorization")
        trial = request.match_info["trial"]
        if trial not in slices:
            return web.json_response({"detail": f"{trial} has no slice"}, status=404)
        callbacks.promise(request, str(wanted["Authorization"]))
        slices.discard(trial)
        return web.json_response({"Slice": {"id": f"slice-{trial}", "state": "CLOSING"}})

    @routes.post("/vnf/{where:cloud|edge}/{step:boarding|deployment}")
    async def handle_functions(request: web.Request) -> web.Response:
        wanted = await members(request, "Authorization")
        if not request.query.get("trialID"):
            raise unprocessable("trialID is missing")
        callbacks.promise(request, str(wanted["Authorization"]))
        return web.json_response({}, status=201)

    @routes.post("/tap")
    async def test_resources(request: web.Request) -> web.Response:
        await members(request, "trialID", "name", "facility", "target")
        return web.json_response({})

    @routes.post("/flightplan")
    async def take_flight_plan(request: web.Request) -> web.Response:
        await members(request, "trialID", "flight_plan")
        return web.json_response({}, status=201)

    @routes.post("/measurementjobs")
    async def begin_measurement(request: web.Request) -> web.Response:
        wanted = await members(request, "trialID", "facility", "measurement_job")
        job = f"job-{wanted['trialID']}"
        jobs.add(job)
        return web.json_response({"MeasurementID": job}, status=201)

    @routes.delete("/measurementjobs/{job:[^/]+}")
    async def end_measurement(request: web.Request) -> web.Response:
        await members(request, "trialID", "facility")
        job = request.match_info["job"]
        if job not in jobs:
            return web.json_response({"detail": f"there is no {job}"}, status=404)
        jobs.discard(job)
        return web.Response(status=204)

    return routes
