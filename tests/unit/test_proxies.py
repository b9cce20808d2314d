"""The rule for proxies: which URL goes through which, and what cannot be one."""

import pytest
from requests.utils import should_bypass_proxies

from lcm_operator.controllers.settings import read
from lcm_operator.proxies import Proxies, Proxy, ProxyError

PROXY = "http://proxy.example:3128"
LIKE_REQUESTS = [
    ("", "http://partner.example", False),
    ("partner.example", "http://partner.example", True),
    ("partner.example", "http://a.partner.example", True),
    (".partner.example", "http://a.partner.example", True),
    (".partner.example", "http://partner.example", True),
    ("partner.example", "http://otherpartner.example", False),
    ("partner", "http://partner.example", False),
    (" other.example , partner.example ", "http://partner.example", True),
    (",,", "http://partner.example", False),
    ("partner.example:8080", "http://partner.example:8080", True),
    ("partner.example:8080", "http://partner.example", False),
    ("10.1.2.3", "http://10.1.2.3", True),
    ("10.1.0.0/16", "http://10.1.2.3", True),
    ("10.1.2.3/16", "http://10.1.2.3", True),
    ("10.1.0.0/16", "http://10.2.2.3", False),
    ("10.1.0.0/16", "http://partner.example", False),
    ("*", "http://partner.example", True),
    ("localhost", "http://localhost:5000", True),
    ("localhost", "http://127.0.0.1", False),
]
FURTHER = [
    ("partner.example", "http://PARTNER.example./x", True),
    ("PARTNER.EXAMPLE", "http://partner.example", True),
    ("*.partner.example", "http://a.partner.example", True),
    ("other.example partner.example", "http://partner.example", True),
    ("partner.example:80", "http://partner.example", True),
    ("partner.example:443", "https://partner.example", True),
    ("10.1.2.3:80", "http://10.1.2.3:8080", False),
    ("10.1.2.3:80", "http://10.1.2.3", True),
    ("2.3", "http://10.1.2.3", False),
    ("::1", "http://[::1]:8080", True),
    ("[::1]", "http://[::1]", True),
    ("[::1]:8080", "http://[::1]:8080", True),
    ("[::1]:8080", "http://[::1]", False),
    ("0:0:0:0:0:0:0:1", "http://[::1]", True),
    ("fd00::/8", "http://[fd00::5]", True),
    ("fd00::/8", "http://[fe80::5]", False),
    ("10.0.0.0/8", "http://[::ffff:10.1.2.3]", True),
    ("nonsense/8", "http://10.1.2.3", False),
    ("other.example,*", "https://[::1]", True),
]


@pytest.mark.parametrize(("listed", "url", "direct"), LIKE_REQUESTS + FURTHER)
def test_no_proxy_lists_the_hosts_that_are_reached_directly(listed, url, direct):
    found = Proxies(PROXY, PROXY, listed).find(url)
    assert (found is None) == direct


@pytest.mark.parametrize(("listed", "url", "direct"), LIKE_REQUESTS)
def test_the_rule_is_that_of_requests_where_that_has_one(listed, url, direct):
    assert should_bypass_proxies(url, no_proxy=listed) == direct


def test_each_scheme_has_its_own_proxy():
    proxies = Proxies("plain.example", "http://secure.example:8443/")
    assert proxies.find("http://partner.example") == Proxy("plain.example", 80)
    assert proxies.find("https://partner.example") == Proxy("secure.example", 8443)
    assert Proxies(http=PROXY).find("https://partner.example") is None


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("proxy.example", Proxy("proxy.example", 80)),
        ("proxy.example:3128", Proxy("proxy.example", 3128)),
        ("http://proxy.example:3128/\n", Proxy("proxy.example", 3128)),
        ("HTTP://[fd00::1]:3128", Proxy("fd00::1", 3128)),
        ("http://ops:p%40ss%2F:w@proxy.example", Proxy("proxy.example", 80, "ops", "p@ss/:w")),
        ("ops:pass@proxy.example:3128", Proxy("proxy.example", 3128, "ops", "pass")),
    ],
)
def test_a_proxy_is_read(text, proxy):
    assert Proxies(http=text).find("http://partner.example") == proxy


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://ops:hunter2@proxy.example", "a proxy by https is not supported"),
        ("socks5://ops:hunter2@proxy.example", "a proxy by socks5 is not supported"),
        ("http://ops:hunter2@proxy.example:99999", "got another form"),
        ("http://ops:hunter2@proxy.example:port", "got another form"),
        ("http://ops:hunter2@", "got another form"),
        ("http://ops:hunter2@[::1", "got another form"),
        ("http://ops:hunter2@proxy.example/path", "got another form"),
        ("http://ops:hun\nter2@proxy.example", "a blank or a control character"),
        ("http://ops:hunter2%0A@proxy.example", "must not contain control characters"),
        ("hunter2", None),
    ],
)
def test_what_is_no_proxy_is_rejected_without_its_password(text, why):
    if why is None:
        assert Proxies(https=text).find("https://partner.example") == Proxy("hunter2", 80)
        return
    with pytest.raises(ProxyError, match=rf"^HTTPS_PROXY: .*{why}") as raised:
        Proxies(https=text).find("https://partner.example")
    assert "hunter2" not in str(raised.value)


def test_a_bad_proxy_harms_nobody_who_does_not_need_it():
    proxies = Proxies(https="socks5://proxy.example", no="partner.example")
    assert proxies.find("https://partner.example") is None
    assert proxies.find("http://other.example") is None


def test_the_password_of_a_proxy_is_a_secret_in_each_of_its_forms():
    assert set(Proxies(http="http://ops:p%40ss@proxy.example").secrets()) == {"p@ss", "b3BzOnBAc3M="}
    assert "p@ss" not in str(Proxy("proxy.example", 80, "ops", "p@ss"))


def test_variables_in_lower_case_count_first():
    found = read(
        {
            "HTTP_PROXY": "upper.example",
            "http_proxy": "lower.example",
            "https_proxy": "lower.example",
            "NO_PROXY": "upper.example",
            "no_proxy": "",
        }
    ).checked()
    assert found.proxies == Proxies("lower.example", "lower.example", "upper.example")
