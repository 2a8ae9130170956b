"""Tests of proxy.server.metrics."""

from prometheus_client.parser import text_string_to_metric_families

from proxy.server.metrics import Metrics


def values(metrics: Metrics) -> dict[str, float]:
    """Return each sample by its name and the sorted values of its labels."""
    return {
        " ".join([sample.name, *sorted(sample.labels.values())]): sample.value
        for family in text_string_to_metric_families(metrics.render(0).decode())
        for sample in family.samples
    }


def test_requests_are_counted_by_route_method_and_status() -> None:
    """The same three labels count up, others count for themselves."""
    metrics = Metrics()
    for status in (200, 200, 404):
        metrics.on_request("read", "GET", status, received=1, sent=10)
    found = values(metrics)
    assert (2, 1, 3, 30) == (
        found["tfaudit_requests_total 200 GET read"],
        found["tfaudit_requests_total 404 GET read"],
        found["tfaudit_request_bytes_total"],
        found["tfaudit_response_bytes_total"],
    )


def test_invented_methods_make_no_new_series() -> None:
    """A client that makes up methods can't fill the memory."""
    metrics = Metrics()
    for number in range(1000):
        metrics.on_request("none", f"METHOD{number}", 405)
    found = values(metrics)
    assert 1000 == found["tfaudit_requests_total 405 none other"]
    assert 1 == sum(name.startswith("tfaudit_requests_total") for name in found)


def test_commits_tell_their_time_size_and_entries() -> None:
    """A batch is one observation of each."""
    metrics = Metrics()
    metrics.on_commit(16, 17, 0.003)
    found = values(metrics)
    assert (1, 0.003, 16, 17) == (
        found["tfaudit_commit_seconds_count"],
        found["tfaudit_commit_seconds_sum"],
        found["tfaudit_batch_jobs_sum"],
        found["tfaudit_entries_total"],
    )


def test_two_programs_count_apart() -> None:
    """Each program has its own registry, so tests and embedded servers don't mix."""
    one, two = Metrics(), Metrics()
    one.on_commit(1, 1, 0.001)
    assert 0 == values(two)["tfaudit_entries_total"]
