"""The laboratory itself: without these nothing below means anything."""
from harness.cases import ALL, CI, QUICK, case, check
from harness.namespaces import Namespace, link


@case("harness/namespaces", sets=(QUICK, CI, ALL), limit=10)
def namespaces(bench):
    """Two namespaces reach each other over a link, and a file system of names has both."""
    one, two = bench.enter(Namespace("one")), bench.enter(Namespace("two"))
    link(one, "wire", two, "wire")
    one.ip("address", "add", "192.0.2.1/24", "dev", "wire")
    two.ip("address", "add", "192.0.2.2/24", "dev", "wire")
    check(" 0% packet loss" in one.run("ping", "-n", "-c", "1", "-W", "2", "192.0.2.2"), "the other end does not answer")
