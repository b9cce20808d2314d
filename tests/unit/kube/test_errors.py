"""What the API server's refusals mean to us."""

import pytest

from lcm_operator.kube import errors


def status(reason, message="as told"):
    return {"kind": "Status", "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        pytest.param(400, "BadRequest", errors.RejectedError, id="400: refused"),
        pytest.param(401, "Unauthorized", errors.UnavailableError, id="401: the token is renewed, try again"),
        pytest.param(403, "Forbidden", errors.RejectedError, id="403: refused"),
        pytest.param(404, "NotFound", errors.NotFoundError, id="404: not there"),
        pytest.param(408, "Timeout", errors.UnavailableError, id="408: try again"),
        pytest.param(
            409, "AlreadyExists", errors.AlreadyExistsError, id="409 on a create: the name is taken"
        ),
        pytest.param(409, "Conflict", errors.ConflictError, id="409 on a write: what we knew is old"),
        pytest.param(410, "Gone", errors.GoneError, id="410: list again"),
        pytest.param(410, "Expired", errors.GoneError, id="410 by its reason: list again"),
        pytest.param(413, "RequestEntityTooLarge", errors.RejectedError, id="413: refused"),
        pytest.param(422, "Invalid", errors.RejectedError, id="422: refused"),
        pytest.param(429, "TooManyRequests", errors.UnavailableError, id="429: try again"),
        pytest.param(500, "InternalError", errors.UnavailableError, id="500: try again"),
        pytest.param(503, "ServiceUnavailable", errors.UnavailableError, id="503: try again"),
        pytest.param(504, "Timeout", errors.UnavailableError, id="504: try again"),
    ],
)
def test_an_answer_has_a_class_for_what_a_caller_may_do(code, reason, kind):
    error = errors.from_status(code, status(reason))
    assert type(error) is kind
    assert (error.status, error.reason, error.message) == (code, reason, "as told")
    assert str(error) == f"{code} {reason}: as told"


def test_an_answer_that_is_no_status_is_reported_as_it_is():
    error = errors.from_status(502, "<html>bad gateway</html>")
    assert isinstance(error, errors.UnavailableError)
    assert error.message == "<html>bad gateway</html>"


@pytest.mark.parametrize("body", [pytest.param("", id="text"), pytest.param({}, id="an object")])
def test_an_empty_answer_has_a_message_as_well(body):
    assert errors.from_status(500, body).message == "no message"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds are read"),
        pytest.param("Tue, 24 Nov 2026 10:00:00 GMT", None, id="a date is passed over"),
        pytest.param(None, None, id="none is none"),
        pytest.param("3600", 30.0, id="an hour is cut"),
        pytest.param("9" * 400, 30.0, id="so is a number without end"),
        pytest.param("²", None, id="a figure that is no number is passed over"),
    ],
)
def test_retry_after(header, seconds):
    error = errors.from_status(429, status("TooManyRequests"), header)
    assert isinstance(error, errors.UnavailableError)
    assert error.retry_after == seconds


def test_each_class_can_be_caught_as_what_the_api_server_said():
    for code in (400, 404, 409, 410, 429, 500):
        assert isinstance(errors.from_status(code, {}), errors.ApiError)
