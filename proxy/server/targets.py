"""What stands in a request's first line between the method and the version."""

from aiohttp import web


def path_of(request: web.Request) -> str:
    """Return the path as it is written, nothing decoded: no query, no scheme, no authority.

    RFC 9112 section 3.2.2 has servers take ``http://user:password@host/path`` as well; the part
    in front of the path may hold a token, and belongs in no record. Empty when there is no path.
    """
    target = request.raw_path.partition("?")[0]
    if target.startswith("/"):
        return target
    _, slash, path = target.partition("://")[2].partition("/")
    return slash + path
